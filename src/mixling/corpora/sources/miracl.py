"""MIRACL (Zhang et al. 2023, TACL): native speakers' queries on the Wikipedia of their language.

No judgments of its test parts are published.
"""

from mixling.corpora.source import Repository, Source
from mixling.corpora.sources.collections import Collection

# the files docs-<n>.jsonl.gz of each language, as ir_datasets lists them
_N_FILES = {
    "ar": 5,
    "bn": 1,
    "de": 32,
    "en": 66,
    "es": 21,
    "fa": 5,
    "fi": 4,
    "fr": 30,
    "hi": 2,
    "id": 3,
    "ja": 14,
    "ko": 3,
    "ru": 20,
    "sw": 1,
    "te": 2,
    "th": 2,
    "yo": 1,
    "zh": 10,
}
LANGUAGES = tuple(_N_FILES)
_COLLECTION = Collection(
    "miracl",
    {code: (code, code) for code in LANGUAGES},
    "miracl-v1.0-{language}/topics/topics.miracl-v1.0-{language}-{split}.tsv",
    "miracl-v1.0-{language}/qrels/qrels.miracl-v1.0-{language}-{split}.tsv",
    "miracl-corpus-v1.0-{language}/docs-*.jsonl.gz",
    {"train": ("de", "yo")},
    n_files=_N_FILES,
)
MIRACL = Source(
    "miracl",
    "questions of native speakers on their Wikipedia, judged by people",
    LANGUAGES,
    ("dev", "dev-full", "train", "train-full"),
    "Apache-2.0",
    "Zhang et al. 2023, TACL 11, arXiv:2210.09984",
    "hub miracl/miracl and miracl/miracl-corpus, both as they are",
    _COLLECTION.read,
    "miracl",
    # commits that a dozen public projects name, e.g. attevon-llc/OpenTranscribe; the judged files
    # there have the checksums of castorini/anserini-tools and of ir_datasets
    repositories=(
        Repository(
            "miracl/miracl",
            _COLLECTION.judged_files,
            "5be20db9509754dadad47689368639fcec739c00",
            gated=True,
        ),
        Repository(
            "miracl/miracl-corpus",
            _COLLECTION.corpus_files,
            "d921ec7e349ce0d28daf30b2da9da5ee698bef0d",
        ),
    ),
)
