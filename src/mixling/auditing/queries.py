"""The queries of an audit: a log of real ones, titles, first sentences, or passages themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixling.auditing.pool import UNKNOWN, Rows
from mixling.corpora.files import decode_text, read_lines
from mixling.corpora.languages import first_known_language, language_field
from mixling.corpora.sentences import sentence_spans
from mixling.corpora.tables import ROWS, data_suffix, read_rows
from mixling.corpora.values import first_text
from mixling.errors import BadRowError, MixlingError, Skipped
from mixling.models.identify import identify_languages

MIN_CHARACTERS = 3  # of a title
MIN_BODY = 40  # characters that are left of a text without its first sentence
MIN_HALF = 15  # characters of each half of a text
MAX_CHARACTERS = 1500  # of a text that is encoded
BEGINNING = "beginning"  # the name of first halves as queries


@dataclass(frozen=True)
class MadeQueries:
    """Queries made of passages.

    Args:
        name: "title", "first sentence" or "beginning".
        texts: The queries.
        rows: The row of the pool that each was made of, int64 `[q]`.
        bodies: The texts of all passages of the pool without their queries.
        dropped: Titles that were left out because several groups share them.
    """

    name: str
    texts: list[str]
    rows: np.ndarray
    bodies: list[str]
    dropped: int


def make_queries(rows: Rows) -> MadeQueries | None:
    """Make a query of each passage: its title, or its first sentence where titles are rare.

    A title that several passages share is no query, for instance the English title of a page that
    nobody translated. Where most texts are a single sentence, the first half of a text asks for the
    second.

    Args:
        rows: The passages of the pool.

    Returns:
        The queries; None where the passages have no texts.
    """
    if not any(rows.texts):
        return None
    titles = [" ".join(x.split()) for x in rows.titles]
    bodies = [_without(text, title) for text, title in zip(rows.texts, titles, strict=True)]
    usable = [
        len(t) >= MIN_CHARACTERS and len(b.strip()) > 0 for t, b in zip(titles, bodies, strict=True)
    ]
    if sum(usable) * 2 >= len(rows):
        counts = Counter(title.casefold() for title in titles)
        kept = [i for i, ok in enumerate(usable) if ok and counts[titles[i].casefold()] == 1]
        return MadeQueries(
            "title", [titles[i] for i in kept], np.array(kept, np.int64),
            [b[:MAX_CHARACTERS] or " " for b in bodies], sum(usable) - len(kept),
        )  # fmt: skip
    parts, name = [_first_sentence(text) for text in rows.texts], "first sentence"
    if sum(bool(first) for first, _ in parts) * 2 < len(rows):
        parts, name = [_halves(text) for text in rows.texts], BEGINNING
    kept = [i for i, (first, _) in enumerate(parts) if first]
    texts = [parts[i][0] for i in kept]
    rests = [rest[:MAX_CHARACTERS] or " " for _, rest in parts]
    counts = Counter(texts)
    unique = [n for n, text in enumerate(texts) if counts[text] == 1]
    return MadeQueries(
        name,
        [texts[n][:MAX_CHARACTERS] for n in unique],
        np.array([kept[n] for n in unique], np.int64),
        rests,
        len(texts) - len(unique),
    )


def _first_sentence(text: str) -> tuple[str, str]:
    """Return the first sentence and the rest; "" and the text where too little is left."""
    spans = sentence_spans(text[: 4 * MAX_CHARACTERS])
    rest = text[spans[0][1] :].strip() if spans else ""
    return (text[slice(*spans[0])], rest) if len(rest) >= MIN_BODY else ("", text)


def _halves(text: str) -> tuple[str, str]:
    """Return both halves, cut at a space near the middle; "" and the text if it is short."""
    middle = len(text) // 2
    space = min(
        (i for i, x in enumerate(text) if x.isspace()),
        key=lambda i: abs(i - middle),
        default=middle,
    )
    cut = space if abs(space - middle) <= middle // 2 else middle  # not all scripts have spaces
    first, rest = text[:cut].strip(), text[cut:].strip()
    return (first, rest) if min(len(first), len(rest)) >= MIN_HALF else ("", text)


def _without(text: str, title: str) -> str:
    """Return a text without the heading at its start that is its title."""
    start = text.lstrip("# \n\t")
    if title and start.startswith(title):
        return start[len(title) :].lstrip("# \n\t=-")
    return text


def balanced_sample(languages: np.ndarray, size: int, allowed: Sequence[str]) -> np.ndarray:
    """Return places, as many of each language as there are and fit, int64 `[m]`, sorted.

    Args:
        languages: str `[n]`, in random order.
        size: How many in all.
        allowed: The languages that are taken.
    """
    places = [np.flatnonzero(languages == code) for code in allowed]
    left, taken = size, []
    for number, rows in enumerate(sorted(places, key=len)):
        share = left // (len(places) - number)
        taken.append(rows[:share])
        left -= len(rows[:share])
    return np.sort(np.concatenate(taken)) if taken else np.zeros(0, np.int64)


def read_queries(path: Path, among: Sequence[str], skipped: Skipped) -> tuple[list[str], list[str]]:
    """Read a log of queries: a line each, or rows with `text` or `query` and perhaps `language`.

    Args:
        path: A text file, or one of the forms of rows.
        among: Languages among which a query's language is identified.
        skipped: Collects the rows that cannot be read.

    Returns:
        The distinct queries and their languages.

    Raises:
        MixlingError: The file is not there, or holds no queries.
    """
    if not path.is_file():
        raise MixlingError(
            f"{path}: the file does not exist. --queries takes a file with one query per line."
        )
    found: dict[str, str | None] = {}
    if data_suffix(path) in ROWS:
        for line, row in read_rows(path, skipped):
            try:
                text = first_text(row, ("text", "query"), path, line)
                if text is None or not text.strip():
                    raise BadRowError(
                        path, line, "text", text, "a query", "write the query, or remove the row"
                    )
                stated = first_known_language(row.get("language"), row.get("lang"))
                code = None if stated is None else language_field(stated, "language", path, line)
            except BadRowError as bad:
                skipped(bad)
                continue
            found.setdefault(text.strip(), code)
    else:
        for number, raw in enumerate(read_lines(path), 1):
            line_text = decode_text(raw, path, number).strip()
            if line_text:
                found.setdefault(line_text, None)
    if not found:
        raise MixlingError(
            f"{path}: the file holds no queries. Give a file with one query per line."
        )
    missing = [text for text, code in found.items() if code is None]
    if missing:
        tags = identify_languages(missing, among) if among else [UNKNOWN] * len(missing)
        found.update(zip(missing, tags, strict=True))
    return list(found), [str(x) for x in found.values()]
