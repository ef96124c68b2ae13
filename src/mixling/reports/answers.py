"""A report's real answers: wrong ones that displace right ones, and example queries."""

from __future__ import annotations

from typing import Any

from mixling.corpora.languages import is_right_to_left, language_name

# rows of the table of wrong answers, and characters of a passage in it
MAX_WRONG_ANSWERS, SHOWN_CHARACTERS = 10, 160


def shown_text(content: str, code: str) -> dict[str, Any]:
    """Prepare a text with its language and direction for the template."""
    return {
        "text": content,
        "language": code,
        "name": language_name(code),
        "dir": "rtl" if is_right_to_left(code) else "ltr",
    }


def example(row: dict[str, Any]) -> dict[str, Any]:
    """Prepare an example query of a result for the template."""
    return {
        "query": shown_text(row["query"], row["query_language"]),
        "first_is_right": row["first_is_right"],
        "first": [
            {**shown_text(content, code), "right": right} for content, code, right in row["first"]
        ],
        "right": shown_text(*row["right"]),
        "ranks": row["right_ranks"],
    }


def wrong_answers(
    examples: list[dict[str, Any]], limit: int = MAX_WRONG_ANSWERS
) -> list[dict[str, Any]]:
    """Select wrong passages in the query's language that stand before right ones in others.

    Args:
        examples: Example queries of a result.
        limit: Maximum number of rows.

    Returns:
        One row a query, the query languages in turn: `query`, the `wrong` passage, its `place`, and
        `after`, the languages and ranks of the right answers that stand after it.
    """
    by_language: dict[str, list[dict[str, Any]]] = {}
    for x in examples:
        code = x["query_language"]
        for place, (text, language, right) in enumerate(x["first"], 1):
            after = [(c, r) for c, r in x["right_ranks"] if r > place and c != code]
            if not right and language == code and after:
                by_language.setdefault(code, []).append(
                    {
                        "query": shown_text(x["query"], code),
                        "wrong": shown_text(_shorten(text), language),
                        "place": place,
                        "after": [{"name": language_name(c), "rank": r} for c, r in after],
                    }
                )
                break
    for rows in by_language.values():
        rows.sort(key=lambda row: row["place"])
    longest = max(map(len, by_language.values()), default=0)
    turns = [rows[i] for i in range(longest) for rows in by_language.values() if i < len(rows)]
    return turns[:limit]


def _shorten(text: str) -> str:
    """Cut a text at a number of characters."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
