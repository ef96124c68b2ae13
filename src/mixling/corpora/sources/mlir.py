"""The benchmarks of MIMO and SHIFT (arXiv:2605.31171, 2606.18801; hub yjoonjang/mlir-benchmarks), in their own form.

    queries.jsonl    {"_id": …, "text": …[, "lang": …]} a line (questions are English where lang is missing)
    corpus.jsonl     {doc_id: {"text": …, "lang": …}} a line
    qrels.jsonl      {query_id: {doc_id: 1}} a line

One corpus of all languages; the passage of every language is relevant.
"""

from __future__ import annotations

from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import find_file
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_field
from mixling.corpora.source import Source
from mixling.corpora.values import grade_value, id_text, text_field, value_text
from mixling.errors import BadRow, MixlingError, Skipped

# MIMO's builder calls Dutch dt
_ODD = {"dt": "nl"}


def read(folder: Path, split: str = "test", skip_bad: bool = False) -> Corpus:
    """A folder of the three files."""
    builder, skipped = CorpusBuilder(folder.name), Skipped(skip_bad)
    paths = {}
    for name in ("queries", "corpus", "qrels"):
        path = find_file(folder, f"{name}.jsonl")
        if path is None:
            raise MixlingError(
                f"{folder}: no {name}.jsonl; fetch the folder of hub yjoonjang/mlir-benchmarks"
            )
        paths[name] = path
    passages: dict[str, int] = {}
    for line, row in read_json_lines(paths["corpus"], skipped):
        for key, value in row.items():
            try:
                text = text_field(value, "text", paths["corpus"], line)
                passages[key] = builder.add_passage(
                    key, text, _language(value, paths["corpus"], line)
                )
            except BadRow as bad:
                skipped(bad)
    asked = set()
    for line, row in read_json_lines(paths["queries"], skipped):
        try:
            key, text = (
                id_text(row, ("_id",), paths["queries"], line),
                text_field(row, "text", paths["queries"], line),
            )
            code = _language(row, paths["queries"], line, "en")
        except BadRow as bad:
            skipped(bad)
            continue
        asked.add(key)
        builder.add_query(key, text, code, key)
    for line, row in read_json_lines(paths["qrels"], skipped):
        for query, judged in row.items():
            try:
                if not isinstance(judged, dict):
                    raise BadRow(
                        paths["qrels"], line, query, judged, "{document: grade}", "mend it"
                    )
                graded = {d: grade_value(g, query, paths["qrels"], line) for d, g in judged.items()}
            except BadRow as bad:
                skipped(bad)
                continue
            for document, value in graded.items():
                if query not in asked or document not in passages:
                    missing = query if query not in asked else document
                    skipped(
                        BadRow(
                            paths["qrels"],
                            line,
                            "id",
                            missing,
                            "an id of the other files",
                            "mend it",
                        )
                    )
                elif value > 0:
                    builder.add_link(query, passages[document], grade=value)
    return builder.build(skipped.rows)


def _language(row: dict, path: Path, line: int, usual: str | None = None) -> str:
    written = value_text(row.get("lang"), "lang", path, line) or usual
    return language_field(_ODD.get(str(written), written), "lang", path, line)


def _source(name: str, about: str, languages: str) -> Source:
    return Source(
        name.lower().replace("_test", "-mlir"),
        about,
        tuple(languages.split()),
        ("test",),
        "as the set it is made of",
        "MIMO, arXiv:2605.31171; SHIFT, arXiv:2606.18801",
        f"folder {name} of hub yjoonjang/mlir-benchmarks",
        read,
        f"mlir-benchmarks/{name}",
    )


MLIR = (
    _source(
        "XQuAD_test", "MIMO's pool of XQuAD paragraphs, as published", "ar de en es hi ru vi zh"
    ),
    _source("MLQA_test", "MIMO's pool of MLQA contexts, as published", "ar de en es hi vi zh"),
    _source(
        "Belebele_test",
        "MIMO's pool of Belebele passages, 14 languages",
        "ar de en es fr it ja ko nl pt ru vi zh",
    ),
    _source("MultiEup_test", "MIMO's pool of the European Parliament's debates", "en"),
)
