"""JSON and JSON-lines files; every mistake is reported with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mixling.corpora.files import decode_text, read_lines, read_text
from mixling.errors import BadRowError, MixlingError, Skipped

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def has_lone_surrogate(text: str, content: Any) -> bool:
    r"""Return whether JSON holds half a character: a lone surrogate such as \ud83d.

    No UTF-8 text can hold one.

    Args:
        text: The JSON.
        content: The parsed JSON.
    """
    if _SURROGATE.search(text) is None:
        return False
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _lone_surrogate_error(path: Path, line: int, text: str) -> BadRowError:
    """Return the error for JSON that holds a lone surrogate."""
    expected = "whole characters (no lone surrogate such as \\ud83d)"
    return BadRowError(path, line, "text", text, expected, "write the text anew as UTF-8")


def read_json(path: Path) -> Any:
    """Read a JSON file, plain or packed by gzip.

    Args:
        path: The file.

    Returns:
        The parsed content.

    Raises:
        MixlingError: The file is not there or cannot be read.
        BadRowError: The file is not UTF-8 or not JSON.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except RecursionError:
        raise BadRowError(
            path, 1, "json", text[:20], "JSON that is nested less deeply", "correct the file"
        ) from None
    except json.JSONDecodeError as error:
        raise BadRowError(
            path,
            error.lineno,
            "json",
            error.doc[error.pos : error.pos + 20],
            f"JSON ({error.msg})",
            "correct the file, or fetch it again",
        ) from None
    if has_lone_surrogate(text, content):
        raise _lone_surrogate_error(path, 1, text[:20])
    return content


def read_json_lines(path: Path, skipped: Skipped) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSON-lines file, plain or packed by gzip.

    Args:
        path: The file.
        skipped: Receives an error for each line that holds no JSON object.

    Yields:
        The number of the line, from 1, and the object; blank lines are passed over.

    Raises:
        MixlingError: The file is not there or cannot be read.
        BadRowError: A line holds no JSON object, and `skipped` does not skip bad rows.
    """
    for number, raw in enumerate(read_lines(path), 1):
        if not raw.strip():
            continue
        try:
            text = decode_text(raw, path, number)
            row = json.loads(text)
        except BadRowError as bad:
            skipped(bad)
            continue
        except json.JSONDecodeError as error:
            expected = f"one JSON object a line ({error.msg})"
            skipped(
                BadRowError(path, number, "json", error.doc.strip(), expected, "correct the line")
            )
            continue
        except RecursionError:
            skipped(
                BadRowError(
                    path,
                    number,
                    "json",
                    raw[:20],
                    "JSON that is nested less deeply",
                    "correct the line",
                )
            )
            continue
        if not isinstance(row, dict):
            skipped(
                BadRowError(
                    path, number, "json", row, "a JSON object", 'write {"_id": …, "text": …}'
                )
            )
        elif has_lone_surrogate(text, row):
            skipped(_lone_surrogate_error(path, number, text[:40]))
        else:
            yield number, row


def parse_record(
    raw: bytes, where: Path | str, fields: Mapping[str, type | tuple[type, ...]]
) -> dict[str, Any]:
    """Parse a JSON object that Mixling wrote.

    Args:
        raw: The JSON.
        where: The file or place, for the error.
        fields: The type or types of each field that the object must have.

    Returns:
        The object, with all of its fields.

    Raises:
        MixlingError: It is not JSON, no object, or lacks a field of the type.
    """
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MixlingError(
            f"{where}: the file is not JSON ({error}). Fetch it again, or make it again."
        ) from None
    if not isinstance(content, dict):
        raise MixlingError(
            f"{where}: the file is not a JSON object. Fetch it again, or make it again."
        )
    for name, expected in fields.items():
        value = content.get(name)
        if name not in content or not isinstance(value, expected) or isinstance(value, bool):
            raise MixlingError(
                f"{where}: field '{name}' is {repr(value)[:80]}, but Mixling writes a value of "
                "another type there. Fetch the file again, or make it again."
            )
    return content
