"""CIRAL (Adeyemi et al. 2024): English queries, news passages in four African languages.

The split test-a-pools has the queries of test-a and the judgments of its entire pool. A query id
stands for another query in each language.
"""

from mixling.corpora.source import Repository, Source
from mixling.corpora.sources.collections import Collection

_FOLDERS = {"ha": "hausa", "so": "somali", "sw": "swahili", "yo": "yoruba"}
_SPLITS = ("dev", "test-a", "test-a-pools", "test-b")
_COLLECTION = Collection(
    "ciral",
    {folder: ("en", code) for code, folder in _FOLDERS.items()},
    "ciral-{language}/topics/topics.ciral-v1.0-{code}-{split}.tsv",
    "ciral-{language}/qrels/qrels.ciral-v1.0-{code}-{split}.tsv",
    # translated-passages-v1.0 has files of the same names: English translations by machine
    "passages-v1.0/{language}_passages.jsonl",
    topics_of={"test-a-pools": "test-a"},
)
CIRAL = Source(
    "ciral",
    "English questions, news in Hausa, Somali, Swahili and Yoruba, judged by people",
    ("en", "ha", "so", "sw", "yo"),
    tuple(f"{split}{part}" for split in _SPLITS for part in ("", "-full")),
    "Apache-2.0",
    "Adeyemi et al. 2024, SIGIR, github.com/ciralproject/ciral",
    "hub CIRAL/ciral and CIRAL/ciral-corpus, both as they are",
    _COLLECTION.read,
    "ciral",
    # commits that attevon-llc/OpenTranscribe downloads; they are the newest on the hub's pages, and
    # the judged files there have the checksums of castorini/anserini-tools
    repositories=(
        Repository(
            "CIRAL/ciral", _COLLECTION.judged_files, "b70d52ca77d3c462db447c65377aee0406512570"
        ),
        Repository(
            "CIRAL/ciral-corpus",
            _COLLECTION.corpus_files,
            "81644d6e18427ab79a36bb31141c9281239ba40c",
        ),
    ),
)
