"""NeuCLIR (Lawrie et al. 2023, arXiv:2304.12367): English topics, news in Chinese, Persian and Russian, graded.

Topics are JSON lines with a list of topics by language, qrels are TREC's with grades 0, 1, 3.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.source import Source
from mixling.corpora.values import id_text, iter_objects, value_text
from mixling.errors import BadRow, MixlingError, Skipped

LANGUAGES = {"fas": "fa", "rus": "ru", "zho": "zh"}


def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
    """topics*.jsonl (topic_id, topics[lang, source, topic_title, topic_description]), qrels*, <language>.jsonl."""
    full = split.endswith("-full")
    builder, skipped = CorpusBuilder("neuclir"), Skipped(skip_bad)
    files = sorted(folder.glob("**/*topics*.jsonl*"))
    judgements = sorted(folder.glob("**/*qrels*"))
    if not files or not judgements:
        raise MixlingError(f"{folder}: needs topics*.jsonl and qrels*; see `mixling data list`")
    asked: dict[str, str] = {}
    for path in files:
        for line, row in read_json_lines(path, skipped):
            topics = iter_objects(row.get("topics"), "topics", path, line, skipped)
            texts = [t for _, t in topics if t.get("lang") in ("eng", "en")]
            try:
                key = id_text(row, ("topic_id",), path, line)
                parts = [
                    value_text(texts[0].get(f), f, path, line) if texts else None
                    for f in ("topic_title", "topic_description")
                ]
                if not any(parts):
                    raise BadRow(path, line, "topics", key, "an English topic", "leave it out")
            except BadRow as bad:
                skipped(bad)
                continue
            asked[key] = " ".join(x.strip() for x in parts if x)
    judged: dict[tuple[str, str], int] = {}
    for path in judgements:
        judged.update(trec.read_qrels(path, skipped))
    wanted = None if full else {d for _, d in judged}
    for code in LANGUAGES:
        paths = [p for p in sorted(folder.glob(f"**/{code}*.jsonl*")) if "topics" not in p.name]
        trec.add_judged(
            builder, asked, judged, trec.read_documents(paths, skipped, code, wanted), "en"
        )
    return builder.build(skipped.rows)


NEUCLIR = Source(
    "neuclir",
    "English topics, news in Chinese, Persian and Russian, graded by people",
    ("en", "fa", "ru", "zh"),
    ("test", "test-full"),
    "terms of Common Crawl",
    "Lawrie et al. 2023, arXiv:2304.12367",
    "hub neuclir/neuclir1 (fas.jsonl, rus.jsonl, zho.jsonl); topics and qrels of trec.nist.gov",
    read,
    "neuclir",
)
