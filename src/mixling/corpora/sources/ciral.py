"""CIRAL (Adeyemi et al. 2024): English queries, news passages in four African languages."""

from mixling.corpora.source import Repository, Source
from mixling.corpora.sources.collections import Collection

_FOLDERS = {"ha": "hausa", "so": "somali", "sw": "swahili", "yo": "yoruba"}
_COLLECTION = Collection(
    "ciral",
    {folder: ("en", code) for code, folder in _FOLDERS.items()},
    "ciral-{language}/topics/topics.ciral-v1.0-*-{split}.tsv",
    "ciral-{language}/qrels/qrels.ciral-v1.0-*-{split}.tsv",
    "passages-v1.0/{language}_passages.jsonl.gz",
)
CIRAL = Source(
    "ciral",
    "English questions, news in Hausa, Somali, Swahili and Yoruba, judged by people",
    ("en", "ha", "so", "sw", "yo"),
    ("dev", "dev-full", "test-a", "test-a-full", "test-b", "test-b-full"),
    "Apache-2.0",
    "Adeyemi et al. 2024, SIGIR, github.com/ciralproject/ciral",
    "hub CIRAL/ciral and CIRAL/ciral-corpus, both as they are",
    _COLLECTION.read,
    "ciral",
    repositories=(
        Repository("CIRAL/ciral", _COLLECTION.judged_files),
        Repository("CIRAL/ciral-corpus", _COLLECTION.corpus_files),
    ),
)
