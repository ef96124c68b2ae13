"""A subset of one of mteb's tasks, as texts by id, and the keys of its texts in a pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mixling.corpora.values import grade_value, id_text, is_missing, passage_text, value_text
from mixling.errors import BadRowError


@dataclass
class Subset:
    """The queries, passages and judgments of a subset.

    Args:
        name: Its name in mteb.
        queries: Text of each query, by id.
        passages: Text and title of each passage, by id.
        relevant: Grades of the relevant passages, by the ids of query and passage.
        own_passages: Whether a passage with a query's id is the query itself.
        bad_rows: Queries that have no text.
        query_language: Tag of the queries' language.
        passage_language: Tag of the passages' language.
    """

    name: str
    queries: dict[str, str] = field(default_factory=dict)
    passages: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    relevant: dict[str, dict[str, int]] = field(default_factory=dict)
    own_passages: bool = False
    bad_rows: list[BadRowError] = field(default_factory=list)
    query_language: str = ""
    passage_language: str = ""


@dataclass
class Keys:
    """Keys of queries and passages in a pool of subsets.

    Args:
        queries: Key of a query by subset and id, where it is not the subset's own. A query that
            several subsets ask in one language has one key.
        passages: Key of a passage, likewise.
        query_groups: Group of a query's key, which its translations share; by default the key.
        passage_groups: Group of a passage's key, likewise.
        notes: What is linked and what is not.
    """

    queries: dict[tuple[str, str], str] = field(default_factory=dict)
    passages: dict[tuple[str, str], str] = field(default_factory=dict)
    query_groups: dict[str, str] = field(default_factory=dict)
    passage_groups: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def query(self, subset: str, key: str) -> str:
        """Return the key of a query."""
        return self.queries.get((subset, key), f"{subset}:{key}")

    def passage(self, subset: str, key: str) -> str:
        """Return the key of a passage."""
        return self.passages.get((subset, key), f"{subset}:{key}")


def read_subset(task: str, name: str, data: Mapping[str, Any], own_passages: bool) -> Subset:
    """Read a split of a subset in mteb's form.

    Documents without text and title are left out; some of mteb's data sets have them.

    Args:
        task: The task's name, for errors.
        name: The subset's name.
        data: Its `corpus`, `queries` and `relevant_docs`.
        own_passages: Whether a passage with a query's id is the query itself.

    Returns:
        The subset, without languages.

    Raises:
        BadRowError: A document or a judgment cannot be used.
    """
    subset, place = Subset(name, own_passages=own_passages), f"mteb:{task} ({name})"
    for document in data["corpus"]:
        key = id_text(document, ("id",), place, "corpus")
        if not (is_missing(document.get("text")) and is_missing(document.get("title"))):
            subset.passages[key] = passage_text(document, place, key)
    for query in data["queries"]:
        key = id_text(query, ("id",), place, "queries")
        text = query_text(query, place, key)
        if text is None:
            subset.bad_rows.append(
                BadRowError(place, key, "text", query.get("text"), "text", "the query is left out")
            )
        else:
            subset.queries[key] = text
    for key, text_key in _text_ids(data["relevant_docs"], place):
        if text_key in subset.queries:
            grades = dict(_grades(data["relevant_docs"][key], place, text_key))
            subset.relevant[text_key] = {d: g for d, g in grades.items() if d in subset.passages}
    return subset


def query_text(query: Mapping[str, Any], place: str, key: str) -> str | None:
    """Return a query as mteb gives it to a model.

    An instruction stands after its query. The turns of a conversation are joined, and an
    instruction stands before them.

    Args:
        query: The row.
        place: The task, for errors.
        key: The query's id, for errors.

    Returns:
        The text; None if the query has none.

    Raises:
        BadRowError: The query is neither text nor a conversation.
    """
    text, instruction = (
        query.get("text"),
        value_text(query.get("instruction"), "instruction", place, key),
    )
    if is_missing(text) or text == []:
        return None
    if isinstance(text, list):
        turns = "; ".join(_turn(turn, place, key) for turn in text)
        return turns if instruction is None else f"{instruction} {turns}"
    if not isinstance(text, str):
        raise BadRowError(
            place,
            key,
            "text",
            text,
            "a text or a list of turns",
            "correct the row, or leave it out",
        )
    return text if instruction is None else f"{text} {instruction}"


def _turn(turn: Any, place: str, key: str) -> str:
    """Return the text of a conversation's turn: `role: content`, or the text alone."""
    if isinstance(turn, str):
        return turn
    if not isinstance(turn, dict) or not {"role", "content"} <= set(turn):
        raise BadRowError(place, key, "text", turn, "role and content", "correct the row")
    return f"{turn['role']}: {turn['content']}"


def _text_ids(table: Mapping[Any, Any], place: str) -> Iterator[tuple[Any, str]]:
    """Yield each key of a table with its text; a few tasks have numbers."""
    for key in table:
        yield key, id_text({"id": key}, ("id",), place, "relevant_docs")


def _grades(documents: Mapping[Any, Any], place: str, query: str) -> Iterator[tuple[str, int]]:
    """Yield the relevant documents of a query and their grades."""
    for key, document in _text_ids(documents, place):
        grade = grade_value(documents[key], "score", place, query)
        if grade > 0:
            yield document, grade
