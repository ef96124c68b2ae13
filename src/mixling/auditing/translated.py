"""Known items asked in every language, by a file of translations or a program that translates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mixling.corpora.files import decode_text, read_lines
from mixling.corpora.languages import language_field
from mixling.corpora.tables import ROWS, data_suffix, read_rows
from mixling.errors import BadRowError, MixlingError, Skipped

Translator = Callable[[Sequence[str], str, str], list[str | None]]
"""Translates texts from a language into another; None where there is no translation."""


def open_translator(spelling: str, skipped: Skipped) -> Translator:
    """Open a file of translations, or a program.

    Args:
        spelling: A file: JSON lines `{"text": …, "translations": {LANGUAGE: …}}`, or TSV with a
            text, a language and a translation in each line. Or a program with {source} and
            {target}, which reads a text a line and writes a line for each.
        skipped: Collects the rows that cannot be read.

    Raises:
        MixlingError: There is no such file, it holds no translations, or it is no program.
    """
    if Path(spelling).is_file():
        known = read_translations(Path(spelling), skipped)
        return lambda texts, source, target: [known.get(x, {}).get(target) for x in texts]
    if "{target}" not in spelling:
        raise MixlingError(
            f"--translate {spelling!r}: this is neither an existing file nor a command with "
            "{source} and {target}. Give a file of translations, or a command such as "
            "'trans -b {source}:{target}'"
        )
    from mixling.preparation.seq2seq import CommandTranslator

    command = CommandTranslator(spelling)
    return lambda texts, source, target: [x or None for x in command(texts, source, target)]


def read_translations(path: Path, skipped: Skipped) -> dict[str, dict[str, str]]:
    """Read translations, by text and language.

    Args:
        path: The file; see `open_translator`.
        skipped: Collects the rows that cannot be read.

    Raises:
        MixlingError: The file holds no translations.
    """
    known: dict[str, dict[str, str]] = {}
    for line, text, found in _json_rows(path, skipped) if _is_json(path) else _tsv_rows(path):
        for code, value in found.items():
            try:
                tag = language_field(code, "translations", path, line)
                if not isinstance(value, str) or not value.strip():
                    field, fix = f"translations.{code}", 'write {"de": "…"}'
                    raise BadRowError(path, line, field, value, "text that is not empty", fix)
            except BadRowError as bad:
                skipped(bad)
                continue
            known.setdefault(" ".join(text.split()), {})[tag] = value.strip()
    if not known:
        raise MixlingError(
            f'{path}: the file holds no translations. Write lines such as {{"text": "…", '
            '"translations": {"de": "…"}}'
        )
    return known


def _is_json(path: Path) -> bool:
    return data_suffix(path) in ROWS and ".tsv" not in path.name


def _json_rows(path: Path, skipped: Skipped) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for line, row in read_rows(path, skipped):
        text, found = row.get("text"), row.get("translations")
        if isinstance(text, str) and isinstance(found, dict):
            yield line, text, found
        else:
            skipped(
                BadRowError(
                    path, line, "text, translations", str(row)[:60], "a text and translations",
                    'write {"text": "…", "translations": {"de": "…"}}',
                )
            )  # fmt: skip


def _tsv_rows(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for line, raw in enumerate(read_lines(path), 1):
        parts = decode_text(raw, path, line).rstrip("\n\r").split("\t")
        if parts == [""]:
            continue
        if len(parts) != 3:
            raise BadRowError(
                path, line, "line", f"{len(parts)} columns",
                "three columns: text, language, translation", "separate the columns by tabs",
            )  # fmt: skip
        yield line, parts[0], {parts[1]: parts[2]}


def ask_in_every_language(
    texts: Sequence[str], languages: Sequence[str], targets: Sequence[str], translate: Translator
) -> tuple[list[str], list[str], list[int]]:
    """Translate queries into each language that is compared.

    Args:
        texts: The queries.
        languages: Their languages.
        targets: The languages to ask in.
        translate: The translator.

    Returns:
        The translations, their languages, and the query that each translates.
    """
    found, tags, numbers = list[str](), list[str](), list[int]()
    for source in sorted(set(languages)):
        rows = [i for i, x in enumerate(languages) if x == source]
        for target in targets:
            if target == source:
                continue
            translations = translate([texts[i] for i in rows], source, target)
            for i, value in zip(rows, translations, strict=True):
                if value:
                    found.append(value)
                    tags.append(target)
                    numbers.append(i)
    return found, tags, numbers
