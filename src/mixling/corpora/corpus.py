"""A corpus: questions, passages and the links between them, as three Arrow tables.

Texts of one *group* say the same in several languages (or only once, if there is one). A link joins a
question group to a passage: whatever language a question is asked in, the passage answers it. So a
question in Arabic and a passage in Chinese make a pair when their group has both.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    """Columnar questions, passages and links.

    questions: id, text, language (BCP-47), group.
    passages: id, text, language, group, title (may be null), sentences (character spans, may be null).
    links: group (of questions), passage (row of `passages`), start and end (characters of the answer in
    the passage's text; null where it is not known), grade (of relevance: 1, or what the judges gave).
    negatives: question and passage (rows): passages that look right and are not, the hardest first.
    """

    name: str
    queries: pa.Table
    passages: pa.Table
    links: pa.Table
    skipped: tuple[str, ...] = ()
    negatives: pa.Table = field(default_factory=NEGATIVES.empty_table)

    def languages(self) -> list[str]:
        """Languages of questions and passages together, sorted."""
        both = set(self.queries["language"].unique().to_pylist())
        return sorted(both | set(self.passages["language"].unique().to_pylist()))

    def fingerprint(self) -> str:
        """SHA-256 of the content: the same for the same rows in the same order, wherever they came from."""
        digest = hashlib.sha256()
        graded = bool(pc.any(pc.not_equal(self.links["grade"], 1)).as_py())
        links = self.links if graded else self.links.drop_columns(["grade"])
        # the hash is that of the columns' first names, so that it stays the same
        hashed = self.negatives.rename_columns(["question", "passage"])
        more = [hashed] if hashed.num_rows else []
        for table in (self.queries, self.passages, links, *more):
            for row in table.to_batches(max_chunksize=65536):
                digest.update(repr(row.to_pydict()).encode())
        return digest.hexdigest()

    def select(
        self,
        languages: Iterable[str] | None = None,
        passage_groups: Iterable[str] | None = None,
        query_languages: Iterable[str] | None = None,
    ) -> Corpus:
        """The part in some languages, or on some passage groups (with the questions linked to them); of the questions
        those in `query_languages` alone."""
        keep_p = np.ones(self.passages.num_rows, bool)
        keep_q = np.ones(self.queries.num_rows, bool)
        if languages is not None:
            wanted = pa.array(sorted(set(languages)), pa.string())
            keep_p &= pc.is_in(self.passages["language"], wanted).to_numpy()
            keep_q &= pc.is_in(self.queries["language"], wanted).to_numpy()
        if query_languages is not None:
            wanted = pa.array(sorted(set(query_languages)), pa.string())
            keep_q &= pc.is_in(self.queries["language"], wanted).to_numpy()
        if passage_groups is not None:
            wanted = pa.array(sorted(set(passage_groups)), pa.string())
            keep_p &= pc.is_in(self.passages["group"], wanted).to_numpy()
        links = self.links.filter(pa.array(keep_p[self.links["passage"].to_numpy()]))
        keep_q &= pc.is_in(self.queries["group"], links["group"].unique()).to_numpy()
        row = np.cumsum(keep_p) - 1
        links = links.set_column(
            1, "passage", pa.array(row[links["passage"].to_numpy()], pa.int64())
        )
        return replace(
            self,
            queries=self.queries.filter(pa.array(keep_q)),
            passages=self.passages.filter(pa.array(keep_p)),
            links=links,
            negatives=_remap_negatives(self.negatives, keep_q, keep_p),
        )


def _remap_negatives(negatives: pa.Table, questions: np.ndarray, passages: np.ndarray) -> pa.Table:
    """Negatives between rows that stay, by their new numbers. questions, passages: bool, which rows stay."""
    q, p = (negatives[c].to_numpy() for c in ("query", "passage"))
    both = questions[q] & passages[p]
    new = [(np.cumsum(keep) - 1)[rows[both]] for keep, rows in ((questions, q), (passages, p))]
    return pa.table([pa.array(x, pa.int64()) for x in new], schema=NEGATIVES)


def unique_ids(texts: pa.Table, letter: str) -> list[str]:
    """An id for each question or passage, all different: that of the source. One that stands in several languages gets its
    language before it (`sw:12`); a text that its source knows by nothing else gets a letter and its row (`p12`).
    Raises MixlingError."""
    columns = [texts[c].to_pylist() for c in ("id", "text", "language")]
    rows = list(zip(*columns, strict=True))
    count = Counter(key for key, text, _ in rows if key != text)
    found = [
        f"{letter}{i}" if key == text else key if count[key] == 1 else f"{language}:{key}"
        for i, (key, text, language) in enumerate(rows)
    ]
    if len(set(found)) < len(found):
        twice = next(key for key, n in Counter(found).items() if n > 1)
        raise MixlingError(f"two texts have the id '{twice}'; give each its own")
    return found


class CorpusBuilder:
    """Takes rows one by one from a reader; the same text given twice is kept once."""

    def __init__(self, name: str):
        self.name = name
        self.query_index: dict[tuple[str, str], int] = {}
        self.passage_index: dict[tuple[str, str, bool], int] = {}
        self.queries: list[tuple[str, str, str, str]] = []
        self.passages: list[list] = []
        self.links: dict[tuple[str, int], tuple[int | None, int | None, int]] = {}
        self.negatives: dict[tuple[int, int], None] = {}

    def add_query(self, key: str, text: str, language: str, group: str) -> None:
        """A question of a group in a language; a second one under the same key and language is the first. Raises MixlingError
        where it says something else: which of the two a pair means cannot be known."""
        row = self.query_index.setdefault((key, language), len(self.queries))
        if row == len(self.queries):
            self.queries.append((key, text, language, group))
        elif self.queries[row][1] != text:
            raise self._twice("queries", key, self.queries[row][1], text)

    def add_passage(
        self,
        key: str,
        text: str,
        language: str,
        group: str | None = None,
        title: str | None = None,
        sentences: list[tuple[int, int]] | None = None,
    ) -> int:
        """Row of the passage; `key` tells equal passages (its id; where it has none its text, and then one text under two
        titles is two passages). Raises MixlingError where two passages of one id say different things."""
        place = (key if key != text else with_title(title, text), language, key != text)
        row = self.passage_index.get(place)
        if row is None:
            row = self.passage_index[place] = len(self.passages)
            spans = None if sentences is None else [{"start": a, "end": b} for a, b in sentences]
            self.passages.append([key, text, language, group, title, spans])
        elif key != text and self.passages[row][1] != text:
            raise self._twice("passages", key, self.passages[row][1], text)
        return row

    def _twice(self, what: str, key: str, one: str, other: str) -> MixlingError:
        return MixlingError(
            f"{self.name}: two {what} have the id '{key}': '{one[:40]}' and '{other[:40]}'; give each its own"
        )

    def add_link(
        self,
        group: str,
        passage: int,
        start: int | None = None,
        end: int | None = None,
        grade: int = 1,
    ) -> None:
        """Join a question group to a passage; the answer's place is kept if any file knows it, and the highest grade."""
        known, most = (start, end), grade
        before = self.links.get((group, passage))
        if before is not None:
            known, most = known if before[0] is None else before[:2], max(grade, before[2])
        self.links[group, passage] = (*known, most)

    def add_negative(self, key: str, language: str, passage: int) -> None:
        """A passage that looks right for a question (its key and language) and is not."""
        self.negatives[self.query_index[key, language], passage] = None

    def build(self, skipped: Iterable[Exception] = ()) -> Corpus:
        """The corpus. Passages without a group are grouped by the questions that they share (data.md 8)."""
        if not self.links:
            raise MixlingError(
                f"{self.name}: no question is linked to a passage; nothing to train or measure"
            )
        if any(p[3] is None for p in self.passages):
            for passage, group in zip(self.passages, self._components(), strict=True):
                passage[3] = group
        q = list(zip(*self.queries, strict=True))
        p = list(zip(*self.passages, strict=True))
        n = [(g, i, a, b, k) for (g, i), (a, b, k) in self.links.items()]
        ln = list(zip(*n, strict=True))
        return Corpus(
            self.name,
            pa.table(
                [pa.array(c, f.type) for c, f in zip(q, QUERIES, strict=True)], schema=QUERIES
            ),
            pa.table(
                [pa.array(c, f.type) for c, f in zip(p, PASSAGES, strict=True)], schema=PASSAGES
            ),
            pa.table([pa.array(c, f.type) for c, f in zip(ln, LINKS, strict=True)], schema=LINKS),
            tuple(str(s) for s in skipped),
            pa.table(
                [pa.array([x[k] for x in self.negatives], pa.int64()) for k in (0, 1)],
                schema=NEGATIVES,
            ),
        )

    def _components(self) -> list[str]:
        """Passages that share a question are one group, named after its smallest question group."""
        names = sorted({g for g, _ in self.links})
        of = {g: i for i, g in enumerate(names)}
        label = connected_components(
            np.array([of[g] for g, _ in self.links]),
            np.array([i for _, i in self.links]),
            len(names),
            len(self.passages),
        )
        first: dict[int, str] = {}
        for i, g in enumerate(names):
            first.setdefault(int(label[i]), g)
        return [first.get(int(c), f"alone-{i}") for i, c in enumerate(label[len(names) :])]


def connected_components(
    left: np.ndarray, right: np.ndarray, n_left: int, n_right: int
) -> np.ndarray:
    """Connected components of a bipartite graph. left, right: int [edges]; returns int32 [n_left + n_right]."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = n_left + n_right
    edges = coo_matrix((np.ones(len(left), np.int8), (left, right + n_left)), shape=(n, n))
    return connected_components(edges, directed=False)[1]
