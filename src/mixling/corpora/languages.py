"""Language tags: whatever people write (zh, zho, zho_Hans, chinese) becomes one BCP-47 tag.

Stored tags are minimal: the script stands only where it is not the language's usual one, so that
`eng_Latn`, `eng` and `english` are all `en`, and `zho_Hant` stays apart as `zh-Hant`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from mixling.errors import BadRow, MixlingError

_AS_WRITTEN = {"es-la": "es-419", "twi": "tw", "tw": "tw", "greek": "el", "mandarin": "zh", "farsi": "fa"}
_RIGHT_TO_LEFT = {"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg"}


@cache
def tag(written: str) -> str:
    """The BCP-47 tag of a language as people write it. Raises MixlingError when it is none."""
    from langcodes import Language, find, standardize_tag
    from langcodes.tag_parser import LanguageTagError

    text = str(written).strip().replace("_", "-")
    if text.lower() in _AS_WRITTEN:
        return _AS_WRITTEN[text.lower()]
    if text.lower().startswith("twi-"):
        return "tw"
    try:
        if not text:
            raise LookupError
        if len(text) > 3 and "-" not in text:
            found = find(text)  # forgiving: hold it to a name that the language really has
            if text.casefold() not in (found.display_name().casefold(), found.autonym().casefold()):
                raise LookupError
            return tag(found.to_tag())
        language = Language.get(standardize_tag(text, macro=True))
        if not language.is_valid():
            raise LookupError
    except (LookupError, LanguageTagError):
        raise MixlingError(
            f"'{written}' is no language; write a BCP-47 tag such as en, sw, zh-Hant, "
            "an ISO 639-3 code such as swa, or an English name"
        ) from None
    usual = Language.get(language.language or "und").maximize().script
    # Korean's usual script is Hangul with Hanja (Kore), and what is written today is Hangul
    if language.script == usual or (usual == "Kore" and language.script == "Hang"):
        language = Language.make(language=language.language, territory=language.territory)
    return language.to_tag()


def tag_field(
    written: Any,
    field: str,
    path: Path | str,
    line: int | str,
    fix: str = "write for example en, sw or zh-Hant",
) -> str:
    """The tag of what stands in a field. Raises BadRow."""
    try:
        return tag(str(written or ""))
    except MixlingError:
        raise BadRow(path, line, field, written, "a BCP-47 tag", fix) from None


@cache
def name(code: str) -> str:
    """The English name of a language, for people: `sw` -> Swahili."""
    from langcodes import Language

    return Language.get(code).display_name()


@cache
def right_to_left(code: str) -> bool:
    """Whether the language is written from right to left."""
    from langcodes import Language

    return Language.get(code).maximize().script in _RIGHT_TO_LEFT
