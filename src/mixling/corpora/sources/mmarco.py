"""mMARCO (Bonifacio et al. 2021, arXiv:2108.13897): MS MARCO, machine-translated into 13 languages.

The numbers of queries and passages are the same in every language, so they are the groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import table_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Languages, Source
from mixling.errors import BadRowError, MixlingError, Skipped

LANGUAGES = [
    "arabic",
    "chinese",
    "dutch",
    "english",
    "french",
    "german",
    "hindi",
    "indonesian",
    "italian",
    "japanese",
    "portuguese",
    "russian",
    "spanish",
    "vietnamese",
]


def read_mmarco(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read the tables of mMARCO, with the passages that a pair of the split names.

    The texts stand in collections/<language>_collection.tsv and
    queries/<split>/<language>_queries.*.tsv. The pairs of train stand in
    triples.train.ids.small.tsv (query, positive, negative), those of dev in qrels.dev.small.tsv.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages; None: all.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used, and `skip_bad` is False.
    """
    builder, skipped = CorpusBuilder("mmarco"), Skipped(skip_bad)
    pairs, negatives = _read_pairs(folder, split, skipped)
    query_ids = {query for query, _ in pairs}
    passage_ids = {passage for _, passage in (*pairs, *negatives)}
    query_languages: dict[str, list[str]] = {}
    for path in sorted((folder / "queries" / split).glob("*_queries.*")):
        code = language_tag(path.name.split("_")[0])
        for _, (key, text) in _iter_cells(path, 2, skipped):
            if key in query_ids:
                builder.add_query(key, text, code, key)
                query_languages.setdefault(key, []).append(code)
    passage_rows: dict[str, list[int]] = {}
    for path in sorted((folder / "collections").glob("*_collection.tsv*")):
        code = language_tag(path.name.split("_")[0])
        for _, (key, text) in _iter_cells(path, 2, skipped):
            if key in passage_ids:
                row = builder.add_passage(key, text, code, f"p{key}")
                passage_rows.setdefault(key, []).append(row)
    if not passage_rows or not builder.queries:
        raise MixlingError(
            f"{folder}: no collections/ or queries/{split}/ for its pairs; fetch the set again"
        )
    for query, passage in sorted(pairs):
        for row in passage_rows.get(passage, []):
            builder.add_link(query, row)
    # in the query's own language; `batches.negatives_in` may choose another
    for query, passage in negatives:
        for row in passage_rows.get(passage, []):
            language = builder.passages[row][2]
            if language in query_languages.get(query, []):
                builder.add_negative(query, language, row)
    return builder.build(skipped.rows)


def _read_pairs(
    folder: Path, split: str, skipped: Skipped
) -> tuple[set[tuple[str, str]], list[tuple[str, str]]]:
    """Return the pairs of query and passage, and the pairs of query and negative."""
    pairs, negatives = set[tuple[str, str]](), dict[tuple[str, str], None]()
    if split == "train":
        path = folder / "triples.train.ids.small.tsv"
        for _, (query, positive, negative) in _iter_cells(path, 3, skipped):
            pairs.add((query, positive))
            negatives[query, negative] = None
    else:
        for _, cells in _iter_cells(folder / "qrels.dev.small.tsv", 4, skipped):
            pairs.add((cells[0], cells[2]))
    return pairs, list(negatives)


def _iter_cells(path: Path, columns: int, skipped: Skipped) -> Iterator[tuple[int, list[str]]]:
    """Yield line and cells of each line of a table; report lines with other numbers of cells."""
    for line, text in table_lines(path):
        cells = text.split("\t", columns - 1)
        if len(cells) != columns or not all(cell.strip() for cell in cells):
            expected = f"{columns} columns with tabs between"
            skipped(BadRowError(path, line, "line", text.strip(), expected, "mend it"))
            continue
        yield line, cells


MMARCO = Source(
    "mmarco",
    "MS MARCO in 14 languages, translated by machine (only passages that a pair names)",
    tuple(language_tag(name) for name in LANGUAGES),
    ("train", "dev"),
    "Apache-2.0",
    "Bonifacio et al. 2021, arXiv:2108.13897",
    "hub unicamp-dl/mmarco, folder data/google, and qrels.dev.small.tsv of MS MARCO",
    read_mmarco,
    "mmarco",
)
