"""CIRAL (Adeyemi et al. 2024): English queries, news passages in four African languages."""

from mixling.corpora.source import Source
from mixling.corpora.sources.collections import collection_reader

_FOLDERS = {"ha": "hausa", "so": "somali", "sw": "swahili", "yo": "yoruba"}
CIRAL = Source(
    "ciral",
    "English questions, news in Hausa, Somali, Swahili and Yoruba, judged by people",
    ("en", "ha", "so", "sw", "yo"),
    ("dev", "dev-full", "testA", "testA-full", "testB", "testB-full"),
    "Apache-2.0",
    "Adeyemi et al. 2024, SIGIR, github.com/ciralproject/ciral",
    "hub CIRAL/ciral and CIRAL/ciral-corpus, both as they are",
    collection_reader(
        "ciral",
        {folder: ("en", code) for code, folder in _FOLDERS.items()},
        "**/ciral-{language}/topics/topics.ciral-*-{split}.tsv*",
        "**/ciral-{language}/qrels/qrels.ciral-*-{split}*.tsv*",
        "**/{language}_passages.jsonl*",
    ),
    "ciral",
    repositories=("CIRAL/ciral", "CIRAL/ciral-corpus"),
)
