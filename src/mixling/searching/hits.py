"""Holds the passages that a search returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from mixling.searching.store import RESULT_COLUMNS

# The columns of a store that are fields of a hit.
_FIELDS = ("id", "document", "title", "address", "language", "text")
ROW = "_rowid"  # the store's number of a row
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, repr=False)
class SearchHit:
    """A passage that a search returns.

    Example:
        ```python
        for hit in mixling.search("index", "Who built the bridge?", k=3):
            print(hit.rank, hit.language, hit.score, hit.text)
        ```

    Attributes:
        rank: Its place in the list, from 1.
        score: Similarity to the query, full-text score or fused score, by the mode of the search.
        language: Language of the passage, BCP-47.
        title: Title of its document, "" where it has none.
        address: Path or URL of its document, "" where it has none.
        text: The passage.
        sentence: Characters `[begin, end)` in `text` of the sentence nearest to the query; None
            where the search does not highlight, or cannot tell which sentence is nearest.
        language_offset: Score of the mean passage of its language; None where the order does not
            use it.
        standard_score: Similarity of the vectors less the mean score of its language, in standard
            deviations over the store's passages (`mixling.searching.answerable`); None in the
            modes "text" and "both", and in a store of fewer than 100 passages.
        id: Id of the passage.
        document: Id of its document.
        columns: The other columns of the store: `group`, `metadata`, `part`, `begin`, `end`,
            `confidence`.
        row: The store's number of the passage's row, for the store alone; None where it has none.
    """

    rank: int
    score: float
    language: str
    title: str
    address: str
    text: str
    sentence: tuple[int, int] | None = None
    language_offset: float | None = None
    standard_score: float | None = None
    id: str = ""
    document: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    row: int | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        text = self.text
        if len(text) > _SHOWN_CHARACTERS:
            text = text[: _SHOWN_CHARACTERS - 1] + "…"
        return (
            f"SearchHit(rank={self.rank}, score={self.score:.3f}, "
            f"language={self.language!r}, document={self.document!r}, text={text!r})"
        )

    @classmethod
    def from_row(cls, rank: int, row: Mapping[str, Any]) -> Self:
        """Make a hit of a row of a store, whose metadata is JSON."""
        return cls.from_dict({**row, "rank": rank, "metadata": json.loads(row["metadata"] or "{}")})

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Self:
        """Make a hit from the output of `to_dict`."""
        sentence = row.get("sentence")
        optional = ("language_offset", "standard_score")
        other = ("rank", "score", "sentence", *optional, ROW, *_FIELDS)
        return cls(
            rank=row["rank"],
            score=row["score"],
            sentence=None if sentence is None else (sentence[0], sentence[1]),
            language_offset=row.get("language_offset"),
            standard_score=row.get("standard_score"),
            row=row.get(ROW),
            columns={name: value for name, value in row.items() if name not in other},
            **{name: row[name] for name in _FIELDS},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as JSON values: the columns of the store beside rank and score.

        `language_offset`, `standard_score` and `sentence` are left out where they are None.
        """
        columns = {**self.columns, **{name: getattr(self, name) for name in _FIELDS}}
        row: dict[str, Any] = {"rank": self.rank}
        row |= {name: columns.pop(name) for name in RESULT_COLUMNS if name in columns}
        row |= {**columns, "score": self.score}
        if self.language_offset is not None:
            row["language_offset"] = self.language_offset
        if self.standard_score is not None:
            row["standard_score"] = self.standard_score
        if self.sentence is not None:
            row["sentence"] = list(self.sentence)
        return row
