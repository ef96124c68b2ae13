"""mMARCO (Bonifacio et al. 2021, arXiv:2108.13897): MS MARCO, machine-translated into 13 languages.

The numbers of queries and passages are the same in every language, so they are the groups. Files of
3 to 8 GB are read line by line; texts are kept where a pair of the split names them.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixling.corpora import trec
from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import decode_text, read_lines, table_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Files, Languages, Repository, Source, is_wanted
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
# Triples of a query whose negatives are kept, the first in the file. All 39.8 million name passages
# that no memory holds in several languages.
NEGATIVES = 4
_TRIPLES = "data/triples.train.ids.small.tsv"
_QRELS = "data/qrels.dev.small.tsv"
_QUERIES = {
    "train": "queries/train/{}_queries.train.tsv",
    "dev": "queries/dev/{}_queries.dev.small.tsv",
}
_PASSAGES = "collections/{}_collection.tsv"
_BATCH = 1 << 18  # lines of triples at a time
_SHIFT = 32  # a pair of ids is one number: query << 32 | passage
_MAX_ID = 1 << 24  # the ids of MS MARCO are below 9 million

logger = logging.getLogger(__name__)


class _Pairs(NamedTuple):
    """Pairs of query and passage ids, and pairs of query ids and ids of negatives."""

    positives: list[tuple[str, str]]
    negatives: list[tuple[str, str]]


def read_mmarco(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read the tables of mMARCO, with the passages that a pair of the split names.

    The texts stand in google/collections/<language>_collection.tsv and
    google/queries/<split>/<language>_queries.*.tsv. The pairs of train stand in
    triples.train.ids.small.tsv (query, positive, negative), those of dev in qrels.dev.small.tsv.

    Args:
        folder: The folder; the one named `google` will do, too. The older translations in
            `helsinki` are not read.
        split: The split; "dev-full" has all passages.
        languages: The languages; None: all that the folder has.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used or a named text is missing, and `skip_bad` is False.
    """
    base = split.removesuffix("-full")
    builder, skipped = CorpusBuilder("mmarco"), Skipped(skip_bad)
    files = _text_files(folder, base, languages)
    pairs = _read_triples(folder, skipped) if base == "train" else _read_qrels(folder, skipped)
    asked = {query for query, _ in pairs.positives}
    named = {passage for part in pairs for _, passage in part}
    query_languages: dict[str, list[str]] = {}
    passage_rows: dict[str, list[int]] = {}
    for code, queries, passages in files:
        for key, text in _iter_texts(queries, asked, asked, skipped):
            builder.add_query(key, text, code, key)
            query_languages.setdefault(key, []).append(code)
        kept = None if split.endswith("-full") else named
        for key, text in _iter_texts(passages, kept, named, skipped):
            row = builder.add_passage(key, text, code, f"p{key}")
            if key in named:
                passage_rows.setdefault(key, []).append(row)
    for query, passage in pairs.positives:
        for row in passage_rows.get(passage, []):
            builder.add_link(query, row)
    # in the query's own language; `batches.negatives_in` may choose another
    for query, passage in pairs.negatives:
        for row in passage_rows.get(passage, []):
            language = builder.passages[row][2]
            if language in query_languages.get(query, []):
                builder.add_negative(query, language, row)
    return builder.build(skipped.rows)


def _text_files(folder: Path, base: str, languages: Languages) -> list[tuple[str, Path, Path]]:
    """Return the language, the file of queries and the file of passages of each language."""
    files = []
    for name in LANGUAGES:
        code = language_tag(name)
        if not is_wanted(code, languages):
            continue
        patterns = [_QUERIES[base].format(name), _PASSAGES.format(name)]
        found = [
            next(iter(find_published(folder, f"google/{pattern}")), folder / pattern)
            for pattern in patterns
        ]
        missing = [p for p, path in zip(patterns, found, strict=True) if not path.is_file()]
        if len(missing) == len(patterns) and languages is None:
            continue
        if missing:
            raise MixlingError(
                f"{folder}: the file data/google/{missing[0]} is missing. Fetch the data set again."
            )
        files.append((code, found[0], found[1]))
    if not files:
        patterns = [_QUERIES[base].format("<language>"), _PASSAGES.format("<language>")]
        raise MixlingError(
            f"{folder}: the files data/google/{' and data/google/'.join(patterns)} are missing. "
            "Fetch the data set again."
        )
    return files


def _find(folder: Path, name: str) -> Path:
    """Return a file of pairs; raise MixlingError if the folder lacks it."""
    paths = find_published(folder, name.rpartition("/")[2])
    if not paths:
        raise MixlingError(f"{folder}: the file {name} is missing. Fetch the data set again.")
    return paths[0]


def _read_qrels(folder: Path, skipped: Skipped) -> _Pairs:
    """Read the pairs of dev."""
    judgments = trec.read_qrels(_find(folder, _QRELS), skipped)
    return _Pairs(sorted(pair for pair, grade in judgments.items() if grade > 0), [])


def _read_triples(folder: Path, skipped: Skipped) -> _Pairs:
    """Read the pairs of train: all pairs of a query and its passage, and some negatives.

    A query keeps the negatives of its first `NEGATIVES` triples. Memory holds a batch of lines and
    the pairs that are kept.
    """
    path = _find(folder, _TRIPLES)
    positives, negatives = np.empty(0, np.int64), list[np.ndarray]()
    n_triples, n_by_query = 0, np.empty(0, np.int64)
    for rows in _iter_triples(path, skipped):
        query, positive, negative = rows.T
        n_triples += len(rows)
        positives = np.union1d(positives, query << _SHIFT | positive)
        values, inverse, counts = np.unique(query, return_inverse=True, return_counts=True)
        n_by_query = np.pad(n_by_query, (0, max(0, int(values[-1]) + 1 - len(n_by_query))))
        # the number of each triple among those of its query, in the order of the file
        order = np.argsort(inverse, kind="stable")
        number = np.empty(len(rows), np.int64)
        number[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = number + n_by_query[query] < NEGATIVES
        negatives.append(query[kept] << _SHIFT | negative[kept])
        n_by_query[values] += counts
    if not n_triples:
        raise MixlingError(f"{path}: the file has no triples. Fetch it again.")
    logger.info(
        "mmarco: %d triples: %d pairs, and the negatives of each query's first %d triples",
        n_triples,
        len(positives),
        NEGATIVES,
    )
    return _Pairs(_id_pairs(positives), list(dict.fromkeys(_id_pairs(np.concatenate(negatives)))))


def _id_pairs(pairs: np.ndarray) -> list[tuple[str, str]]:
    """Return the ids of pairs of the form query << 32 | passage, int64 `[n]`."""
    ids = ((pairs >> _SHIFT).tolist(), (pairs & ((1 << _SHIFT) - 1)).tolist())
    return [(str(query), str(passage)) for query, passage in zip(*ids, strict=True)]


def _iter_triples(path: Path, skipped: Skipped) -> Iterator[np.ndarray]:
    """Yield the triples of a file in batches of lines, int64 `[n, 3]`."""
    lines = enumerate(read_lines(path), 1)
    while batch := list(islice(lines, _BATCH)):
        rows = _parse_triples([raw for _, raw in batch])
        if rows is None:  # one of the lines is wrong, blank or begins with a byte-order mark
            rows = np.array(
                [ids for number, raw in batch for ids in _parse_line(raw, path, number, skipped)],
                np.int64,
            )
        if len(rows):
            yield rows


def _parse_triples(lines: Sequence[bytes]) -> np.ndarray | None:
    """Return the numbers of lines, int64 `[n, 3]`; None if a line has another form."""
    try:
        rows = np.loadtxt(lines, np.int64, delimiter="\t", comments=None, ndmin=2)
    except ValueError:
        return None
    whole = rows.shape == (len(lines), 3) and rows.min() >= 0 and rows.max() < _MAX_ID
    return rows if whole else None


def _parse_line(raw: bytes, path: Path, number: int, skipped: Skipped) -> list[list[int]]:
    """Return the ids of a line in a list; [] for a blank or wrong line, which is reported."""
    text = decode_text(raw, path, number).strip()
    cells = text.split("\t")
    if len(cells) == 3 and all(map(_is_id, cells)):
        return [[int(cell) for cell in cells]]
    if text:
        expected = f"three ids below {_MAX_ID:,} with tabs between: query, passage, negative"
        skipped(BadRowError(path, number, "line", text, expected, "correct the line"))
    return []


def _is_id(text: str) -> bool:
    """Return whether a cell is an id of MS MARCO."""
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) < _MAX_ID


def _iter_texts(
    path: Path, kept: Container[str] | None, named: set[str], skipped: Skipped
) -> Iterator[tuple[str, str]]:
    """Yield the texts of a table: ids and texts.

    Args:
        path: The file.
        kept: The ids of the texts to yield; None: all.
        named: The ids that must be there.
        skipped: Receives an error for each line that cannot be used, and one if ids are missing.

    Yields:
        Id and text of a line.
    """
    missing = set(named)
    for line, text in table_lines(path):
        key, _, content = text.partition("\t")
        if key.isdigit() and kept is not None and key not in kept:
            continue
        missing.discard(key)
        if key.isdigit() and content.strip():
            yield key, content
        else:
            expected = "an id, a tab and a text"
            skipped(BadRowError(path, line, "line", text.strip(), expected, "correct the line"))
    if missing:
        expected = f"all {len(named):,} ids that the pairs name; {len(missing):,} are missing"
        first = min(missing, key=lambda key: (len(key), key))
        skipped(BadRowError(path, "end", "id", f"no {first}", expected, "fetch the file again"))


def _files(split: str, languages: Languages) -> list[Files]:
    """Return the files that a split and some languages need."""
    base = split.removesuffix("-full")
    pairs = Files(_TRIPLES, ("0", "1", "2"))
    texts = [
        Files(f"data/google/{pattern.format(name)}", ("0", "1"))
        for name in LANGUAGES
        if is_wanted(language_tag(name), languages)
        for pattern in (_QUERIES[base], _PASSAGES)
    ]
    return [pairs if base == "train" else Files(_QRELS, ("0", "1", "2", "3")), *texts]


MMARCO = Source(
    "mmarco",
    "MS MARCO in 14 languages, translated by machine (only passages that a pair names)",
    tuple(language_tag(name) for name in LANGUAGES),
    ("train", "dev", "dev-full"),
    "Apache-2.0",
    "Bonifacio et al. 2021, arXiv:2108.13897",
    "hub unicamp-dl/mmarco as it is: data/google and the tables of pairs in data",
    read_mmarco,
    "mmarco",
    # the commit that a public script downloads; the hub's page shows it as the newest
    repositories=(
        Repository("unicamp-dl/mmarco", _files, "6d039c4638c0ba3e46a9cb7b498b145e7edc6230"),
    ),
)
