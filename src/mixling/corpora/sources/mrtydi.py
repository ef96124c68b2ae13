"""Mr. TyDi (Zhang et al. 2021, arXiv:2108.08787): TyDi's questions on the whole Wikipedia of their language."""

from __future__ import annotations

from pathlib import Path

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.source import Source
from mixling.corpora.values import id_text, iter_objects, passage_text, text_field
from mixling.errors import BadRow, MixlingError, Skipped

LANGUAGES = {
    "arabic": "ar",
    "bengali": "bn",
    "english": "en",
    "finnish": "fi",
    "indonesian": "id",
    "japanese": "ja",
    "korean": "ko",
    "russian": "ru",
    "swahili": "sw",
    "telugu": "te",
    "thai": "th",
}


def read(folder: Path, split: str, skip_bad: bool) -> Corpus:
    """`*<language>*/<split>.jsonl` with positive and negative passages; `-full`: `*<language>*/corpus.jsonl` too."""
    base, full = split.removesuffix("-full"), split.endswith("-full")
    builder, skipped = CorpusBuilder("mr-tydi"), Skipped(skip_bad)
    for long, code in LANGUAGES.items():
        for path in sorted(folder.glob(f"**/*{long}*/{base}.jsonl*")):
            for line, row in read_json_lines(path, skipped):
                try:
                    text = text_field(row, "query", path, line)
                    key = id_text(row, ("query_id",), path, line)
                except BadRow as bad:
                    skipped(bad)
                    continue
                group = f"{code}:{key}"
                builder.add_query(key, text, code, group)
                for field in ("positive_passages", "negative_passages"):
                    for _, passage in iter_objects(
                        row.get(field) or [], field, path, line, skipped
                    ):
                        number = _passage(builder, passage, path, line, code, skipped)
                        if number is None:
                            continue
                        if field == "positive_passages":
                            builder.add_link(group, number)
                        else:
                            builder.add_negative(key, code, number)
        if full:
            paths = sorted(folder.glob(f"**/*{long}*/corpus.jsonl*"))
            for key, text, title, _ in trec.read_documents(paths, skipped, code):
                builder.add_passage(key, text, code, f"{code}:{key}", title)
    if not builder.queries:
        raise MixlingError(
            f"{folder}: no file like <language>/{base}.jsonl; see `mixling data list`"
        )
    return builder.build(skipped.rows)


def _passage(
    builder: CorpusBuilder, passage: dict, path: Path, line: int, code: str, skipped: Skipped
) -> int | None:
    """Its row, or None where training rows of the published set leave the text empty."""
    try:
        key = id_text(passage, ("docid",), path, line)
        # a passage of which training rows give the title alone has its text in the collection
        text_field(passage, "text", path, line)
        text, title = passage_text(passage, path, line)
    except BadRow as bad:
        skipped(bad)
        return None
    return builder.add_passage(key, text, code, f"{code}:{key}", title)


MR_TYDI = Source(
    "mr-tydi",
    "TyDi's questions on the Wikipedia of their language",
    tuple(LANGUAGES.values()),
    ("test", "test-full", "dev", "dev-full", "train"),
    "Apache-2.0",
    "Zhang et al. 2021, arXiv:2108.08787",
    "hub castorini/mr-tydi and castorini/mr-tydi-corpus, both as they are",
    read,
    "mr-tydi",
    repositories=("castorini/mr-tydi", "castorini/mr-tydi-corpus"),
)
