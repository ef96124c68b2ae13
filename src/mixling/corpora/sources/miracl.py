"""MIRACL (Zhang et al. 2023, TACL): native speakers' queries on the Wikipedia of their language."""

from mixling.corpora.source import Repository, Source, parse_languages
from mixling.corpora.sources.collections import Collection

LANGUAGES = parse_languages("ar bn de en es fa fi fr hi id ja ko ru sw te th yo zh")
_COLLECTION = Collection(
    "miracl",
    {code: (code, code) for code in LANGUAGES},
    "miracl-v1.0-{language}/topics/topics.miracl-v1.0-{language}-{split}.tsv",
    "miracl-v1.0-{language}/qrels/qrels.miracl-v1.0-{language}-{split}.tsv",
    "miracl-corpus-v1.0-{language}/docs-*.jsonl.gz",
    {"train": ("de", "yo")},
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
    repositories=(
        Repository("miracl/miracl", _COLLECTION.judged_files, gated=True),
        Repository("miracl/miracl-corpus", _COLLECTION.corpus_files),
    ),
)
