"""A corpus holds queries, passages and the links between them, as Arrow tables.

Texts of one *group* are translations of each other. A link joins a query group to a passage: the
passage answers the query in whatever language the query is asked. So a query in Arabic and a
passage in Chinese form a pair when a link joins the query's group to the passage.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.corpora.components import connected_components
from mixling.corpora.values import with_title
from mixling.errors import MixlingError

SPAN = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32())]))
QUERIES = pa.schema([(n, pa.string()) for n in ("id", "text", "language", "group")])
PASSAGES = pa.schema(
    [*[(n, pa.string()) for n in ("id", "text", "language", "group", "title")], ("sentences", SPAN)]
)
LINKS = pa.schema(
    [
        ("group", pa.string()),
        ("passage", pa.int64()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("grade", pa.int32()),
    ]
)
NEGATIVES = pa.schema([("query", pa.int64()), ("passage", pa.int64())])


@dataclass(frozen=True)
class Corpus:
    """Queries, passages and the links between them, in columns.

    Args:
        name: The name of the source, for messages and results.
        queries: A table with the columns of `QUERIES`: id, text, language (BCP-47), group.
        passages: A table with the columns of `PASSAGES`: id, text, language, group, title (may be
            null), sentences (the first character of each sentence and the one after its last; may
            be null).
        links: A table with the columns of `LINKS`: group (of queries), passage (a row of
            `passages`), start and end (the characters of the answer in the passage's text; null
            where they are not known), grade (of relevance: 1, or the grade that the judges gave).
        skipped: One message for each row that the reader skipped.
        negatives: A table with the columns of `NEGATIVES`: query and passage (rows) of passages
            that resemble an answer and do not answer the query, the hardest first.
        origin: What the corpus was read from: commits of data sets of the hub by "hub:NAME",
            SHA-256 of fetched files by address, files of packages by "apt:NAME" and "npm:NAME".
        left_out: Number of texts that are no part of the corpus, by the reason: what the
            publication repeats, has in another language, or cuts too short.

    Example:
        >>> corpus = mixling.load("sample", "test")
        >>> corpus.languages()
        ['ar', 'de', 'en', 'es', 'hi', 'ru', 'sw', 'zh']
        >>> corpus.select(languages=["sw"]).queries.num_rows
        24
    """

    name: str
    queries: pa.Table
    passages: pa.Table
    links: pa.Table
    skipped: tuple[str, ...] = ()
    negatives: pa.Table = field(default_factory=NEGATIVES.empty_table)
    origin: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"Corpus(name={self.name!r}, languages={len(self.languages())}, "
            f"queries={self.queries.num_rows}, passages={self.passages.num_rows}, "
            f"links={self.links.num_rows}, negatives={self.negatives.num_rows}, "
            f"skipped={len(self.skipped)})"
        )

    def languages(self) -> list[str]:
        """Return the languages of queries and passages together, sorted."""
        languages = set(self.queries["language"].unique().to_pylist())
        return sorted(languages | set(self.passages["language"].unique().to_pylist()))

    def fingerprint(self) -> str:
        """Return a SHA-256 hash of the content.

        The same rows in the same order give the same hash, whatever files they came from.
        """
        digest = hashlib.sha256()
        graded = bool(pc.any(pc.not_equal(self.links["grade"], 1)).as_py())
        links = self.links if graded else self.links.drop_columns(["grade"])
        tables = [self.queries, self.passages, links]
        if self.negatives.num_rows:
            # column names are hashed too; this is the name that the column had at first
            tables.append(self.negatives.rename_columns(["question", "passage"]))
        for table in tables:
            for batch in table.to_batches(max_chunksize=65536):
                digest.update(repr(batch.to_pydict()).encode())
        return digest.hexdigest()

    def select(
        self,
        languages: Iterable[str] | None = None,
        passage_groups: Iterable[str] | None = None,
        query_languages: Iterable[str] | None = None,
    ) -> Corpus:
        """Return the part of the corpus in some languages or on some passage groups.

        Queries that no link joins to a remaining passage are left out.

        Args:
            languages: BCP-47 tags of the queries and passages to keep; None keeps all.
            passage_groups: Groups of the passages to keep; None keeps all.
            query_languages: BCP-47 tags of the queries to keep; None keeps all.

        Returns:
            A corpus whose links and negatives point to the remaining rows.
        """
        keep_passage = np.ones(self.passages.num_rows, bool)
        keep_query = np.ones(self.queries.num_rows, bool)
        if languages is not None:
            tags = pa.array(sorted(set(languages)), pa.string())
            keep_passage &= pc.is_in(self.passages["language"], tags).to_numpy()
            keep_query &= pc.is_in(self.queries["language"], tags).to_numpy()
        if query_languages is not None:
            tags = pa.array(sorted(set(query_languages)), pa.string())
            keep_query &= pc.is_in(self.queries["language"], tags).to_numpy()
        if passage_groups is not None:
            groups = pa.array(sorted(set(passage_groups)), pa.string())
            keep_passage &= pc.is_in(self.passages["group"], groups).to_numpy()
        links = self.links.filter(pa.array(keep_passage[self.links["passage"].to_numpy()]))
        keep_query &= pc.is_in(self.queries["group"], links["group"].unique()).to_numpy()
        new_row = np.cumsum(keep_passage) - 1
        links = links.set_column(
            1, "passage", pa.array(new_row[links["passage"].to_numpy()], pa.int64())
        )
        return replace(
            self,
            queries=self.queries.filter(pa.array(keep_query)),
            passages=self.passages.filter(pa.array(keep_passage)),
            links=links,
            negatives=_renumber_negatives(self.negatives, keep_query, keep_passage),
        )


def _renumber_negatives(
    negatives: pa.Table, keep_query: np.ndarray, keep_passage: np.ndarray
) -> pa.Table:
    """Return the negatives between remaining rows, with the rows' new numbers.

    Args:
        negatives: The negatives before the selection.
        keep_query: bool `[queries]`, which queries remain.
        keep_passage: bool `[passages]`, which passages remain.
    """
    query, passage = (negatives[c].to_numpy() for c in ("query", "passage"))
    remains = keep_query[query] & keep_passage[passage]
    # the new number of a remaining row is the count of remaining rows before it
    renumbered = [
        (np.cumsum(keep) - 1)[rows[remains]]
        for keep, rows in ((keep_query, query), (keep_passage, passage))
    ]
    return pa.table([pa.array(x, pa.int64()) for x in renumbered], schema=NEGATIVES)


def unique_ids(texts: pa.Table, letter: str) -> list[str]:
    """Return one id for each query or passage; no two ids are equal.

    A text keeps the id of its source. An id that stands in several languages gets its language
    before it (`sw:12`). A text without an id (its text stands in the id column) gets a letter and
    its row (`p12`).

    Args:
        texts: `Corpus.queries` or `Corpus.passages`.
        letter: The letter for texts without an id.

    Returns:
        One id a row.

    Raises:
        MixlingError: Two texts of one language have the same id.
    """
    columns = [texts[c].to_pylist() for c in ("id", "text", "language")]
    rows = list(zip(*columns, strict=True))
    count = Counter(key for key, text, _ in rows if key != text)
    ids = [
        f"{letter}{i}" if key == text else key if count[key] == 1 else f"{language}:{key}"
        for i, (key, text, language) in enumerate(rows)
    ]
    if len(set(ids)) < len(ids):
        duplicate = next(key for key, n in Counter(ids).items() if n > 1)
        raise MixlingError(f"two texts have the id '{duplicate}'. Give each text its own id.")
    return ids


class CorpusBuilder:
    """Builds a corpus from rows that a reader adds one by one.

    A text that is added twice is kept once.

    Args:
        name: The name of the corpus.

    Attributes:
        queries: id, text, language and group of each query.
        passages: id, text, language, group, title and sentences of each passage.
        links: Start, end and grade by query group and row of the passage.
        negatives: Rows of query and passage, in the order in which they were added.
    """

    def __init__(self, name: str):
        self.name = name
        self.query_index: dict[tuple[str, str], int] = {}
        self.passage_index: dict[tuple[str, str, bool], int] = {}
        self.queries: list[tuple[str, str, str, str]] = []
        self.passages: list[list[Any]] = []
        self.links: dict[tuple[str, int], tuple[int | None, int | None, int]] = {}
        self.negatives: dict[tuple[int, int], None] = {}

    def add_query(self, key: str, text: str, language: str, group: str) -> None:
        """Add a query, unless a query of the same id and language is there already.

        Args:
            key: The query's id.
            text: Its text.
            language: Its BCP-47 tag.
            group: The group that its translations share.

        Raises:
            MixlingError: The query that is there has another text, so that nobody can know which of
                the two a pair means.
        """
        row = self.query_index.setdefault((key, language), len(self.queries))
        if row == len(self.queries):
            self.queries.append((key, text, language, group))
        elif self.queries[row][1] != text:
            raise self._duplicate("queries", key, self.queries[row][1], text)

    def add_passage(
        self,
        key: str,
        text: str,
        language: str,
        group: str | None = None,
        title: str | None = None,
        sentences: list[tuple[int, int]] | None = None,
    ) -> int:
        """Add a passage, unless the same passage is there already.

        Args:
            key: The passage's id. For a passage without an id, its text; then the same text under
                two titles counts as two passages.
            text: Its text.
            language: Its BCP-47 tag.
            group: The group that its translations share; None: `build` derives it from the links.
            title: Its title.
            sentences: First character, and the one after the last, of each of its sentences.

        Returns:
            The row of the passage.

        Raises:
            MixlingError: A passage with this id and language has another text.
        """
        has_id = key != text
        place = (key if has_id else with_title(title, text), language, has_id)
        row = self.passage_index.get(place)
        if row is None:
            row = self.passage_index[place] = len(self.passages)
            spans = None if sentences is None else [{"start": a, "end": b} for a, b in sentences]
            self.passages.append([key, text, language, group, title, spans])
        elif has_id and self.passages[row][1] != text:
            raise self._duplicate("passages", key, self.passages[row][1], text)
        return row

    def _duplicate(
        self, table: Literal["queries", "passages"], key: str, first: str, second: str
    ) -> MixlingError:
        """Return the error for two texts that have one id."""
        return MixlingError(
            f"{self.name}: two {table} have the id '{key}': '{first[:40]}' and '{second[:40]}'. "
            "Give each its own id."
        )

    def add_link(
        self,
        group: str,
        passage: int,
        start: int | None = None,
        end: int | None = None,
        grade: int = 1,
    ) -> None:
        """Link a query group to a passage that answers it.

        Where a link is added twice, the first known place of the answer and the highest grade stay.

        Args:
            group: The query group.
            passage: The row of the passage, as `add_passage` returns it.
            start: The answer's first character in the passage's text, if it is known.
            end: The character after the answer's last.
            grade: The grade of relevance.
        """
        earlier = self.links.get((group, passage))
        if earlier is not None:
            if earlier[0] is not None:
                start, end = earlier[:2]
            grade = max(grade, earlier[2])
        self.links[group, passage] = (start, end, grade)

    def add_negative(self, key: str, language: str, passage: int) -> None:
        """Add a passage that resembles an answer of a query and does not answer it.

        Args:
            key: The query's id.
            language: The query's BCP-47 tag.
            passage: The row of the passage.
        """
        self.negatives[self.query_index[key, language], passage] = None

    def build(self, skipped: Iterable[Exception] = ()) -> Corpus:
        """Return the corpus.

        Passages without a group are grouped by the queries that they share.

        Args:
            skipped: The errors of rows that the reader skipped.

        Returns:
            The corpus of all rows that were added.

        Raises:
            MixlingError: No query is linked to a passage.
        """
        if not self.links or not self.queries:
            raise MixlingError(
                f"{self.name}: no query is linked to a passage, so there is nothing to train on "
                "or to measure. Check the ids of the links."
            )
        if any(p[3] is None for p in self.passages):
            for passage, group in zip(self.passages, self._passage_groups(), strict=True):
                passage[3] = group
        links = [(group, row, *place) for (group, row), place in self.links.items()]
        return Corpus(
            self.name,
            _table_of_rows(self.queries, QUERIES),
            _table_of_rows(self.passages, PASSAGES),
            _table_of_rows(links, LINKS),
            tuple(str(s) for s in skipped),
            _table_of_rows(list(self.negatives), NEGATIVES),
        )

    def _passage_groups(self) -> list[str]:
        """Return a group for each passage: passages that share a query are one group.

        A group is named after the first of its query groups in alphabetical order.
        """
        names = sorted({g for g, _ in self.links})
        index = {g: i for i, g in enumerate(names)}
        label = connected_components(
            np.array([index[g] for g, _ in self.links]),
            np.array([i for _, i in self.links]),
            len(names),
            len(self.passages),
        )
        first: dict[int, str] = {}
        for i, g in enumerate(names):
            first.setdefault(int(label[i]), g)
        return [first.get(int(c), f"alone-{i}") for i, c in enumerate(label[len(names) :])]


def _table_of_rows(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """Return a table from rows, each with one value a column of the schema."""
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
    )
