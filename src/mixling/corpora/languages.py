"""Language tags: whatever people write (zh, zho, zho_Hans, zh_CN, chinese) becomes one BCP-47 tag.

A stored tag is a language, and its script where that is not the language's usual one: `eng_Latn`, `en-US` and `english` are
all `en`; `zho_Hant`, `zh-TW` and `zh_HK` are `zh-Hant`. Territories, variants and extensions fold into the language, except
the written standards in `APART`. docs/data.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from mixling.errors import BadRow, MixlingError

_AS_WRITTEN = {
    "es-la": "es-419", "greek": "el", "mandarin": "zh", "farsi": "fa", "twi": "tw", "tw": "tw",
    # Bokmål, whatever it is called
    "no": "nb", "nor": "nb", "norwegian": "nb", "norsk": "nb",
    # languages of which CLDR names no usual script, as FLORES writes them
    "acm": "acm-Arab", "acq": "acq-Arab", "azb": "azb-Arab", "pbt": "pbt-Arab",
    # no one language is meant
    "und": "und", "mul": "und", "mis": "und", "x-default": "und", "root": "und",
}  # fmt: skip
# territories whose written standards published sets keep apart from the language's other texts
APART = ("pt-BR", "es-419", "fa-AF", "ti-ER", "ti-ET")
LONGEST_NAME = 80  # characters: the search for a longer name takes seconds
_RIGHT_TO_LEFT = {"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg"}
# POSIX and the names of translations: de_DE.UTF-8, sr_RS@latin
_LOCALE = re.compile(r"([A-Za-z]{2,3}(?:[_-][A-Za-z0-9]+)*)(?:\.[\w-]+)?(?:@(\w+))?")
# a name with a script or a country: Serbian (Latin), chinese-simplified
_NAME = re.compile(r"([^(（\[-]+?)\s*[(（\[-]([^)）\]-]+)[)）\]]?")


def language_tag(written: str) -> str:
    """The BCP-47 tag of a language as people write it. Raises MixlingError when it is none."""
    try:
        if not isinstance(written, str) or len(written) > LONGEST_NAME:
            raise LookupError
        return _tag(written.strip())
    except LookupError:
        written = str(written)[:LONGEST_NAME]
        raise MixlingError(
            f"'{written}' is no language{_hint(written)}; write a BCP-47 tag such as en, sw, zh-Hant, "
            "an ISO 639-3 code such as swa, or an English name"
        ) from None


@cache
def _tag(text: str) -> str:
    """Raises LookupError."""
    from langcodes import Language, standardize_tag
    from langcodes.tag_parser import LanguageTagError

    locale = _LOCALE.fullmatch(text)
    if locale is not None and text != locale[1]:  # with an encoding or a modifier
        script = _find("script", locale[2]) if locale[2] else None
        parts = locale[1].replace("_", "-").split("-", 1)
        return _tag("-".join([parts[0], *([script.script] if script else []), *parts[1:]]))
    text = text.replace("_", "-")
    plain = text.lower()
    if plain in _AS_WRITTEN:
        return _AS_WRITTEN[plain]
    if plain.startswith("twi-"):
        return "tw"
    if len(plain.partition("-")[0]) > 3 or not text.isascii():  # longer than a code
        return _named(text)
    try:
        language = Language.get(standardize_tag(text, macro=True))
    except LanguageTagError:
        raise LookupError from None
    if not language.language or not language.is_valid():
        raise LookupError
    code, script, territory = language.language, language.script, language.territory
    if f"{code}-{territory}" in APART and script in (None, _script(code)):
        return f"{code}-{territory}"
    if script is None and territory is not None:
        script = _script(f"{code}-{territory}")  # Taiwan's Chinese is Hant
    usual = _script(code)
    # Korean's usual script is Hangul with Hanja (Kore), and what is written today is Hangul
    if script is None or script == usual or (usual == "Kore" and script == "Hang"):
        return _AS_WRITTEN.get(code, code)
    return f"{_AS_WRITTEN.get(code, code).partition('-')[0]}-{script}"


def _named(text: str) -> str:
    """The tag of a language's name, English or its own, with a script or country in brackets. Raises LookupError."""
    if re.search(r"[\d,;/|]", text):  # several languages, or none
        raise LookupError
    whole = _find("language", text)
    if whole is not None:
        return _tag(whole.to_tag())
    parts = _NAME.fullmatch(text)
    language = _find("language", parts[1]) if parts else None
    if parts is None or language is None:
        raise LookupError
    script = _find("script", parts[2])
    if script is not None:
        return _tag(f"{language.language}-{script.script}")
    territory = _find("territory", parts[2])
    code = parts[2].upper() if territory is None else territory.territory
    if not re.fullmatch(r"[A-Z]{2}", code or ""):
        raise LookupError
    return _tag(f"{language.language}-{code}")


def _find(kind: str, name: str) -> Any:
    """A langcodes.Language by the name of a language, script or territory, in English or the language itself; else None."""
    from langcodes import Language
    from language_data.names import TRIES, normalize_name

    for named_in in ("en", "und"):
        try:
            found = Language.find_name(kind, name, named_in)
            # a name in any language may mean another one elsewhere: held to the names that its own speakers use
            own = named_in if named_in == "en" else found.language or "en"
            Language.find_name(kind, name, own)
        except (LookupError, FileNotFoundError):  # no such name; no names in that language
            continue
        if (
            normalize_name(name) in TRIES[f"{own}/name_to_{kind}"]
        ):  # else only its beginning is a name
            return found
    return None


@cache
def _script(code: str) -> str | None:
    """The script that CLDR expects, where it expects one."""
    from langcodes import Language

    return Language.get(code).maximize().script


def _hint(written: Any) -> str:
    """Of a country's code that is no language's: its language."""
    from langcodes import Language

    if not isinstance(written, str) or not re.fullmatch(r"[A-Za-z]{2}", written.strip()):
        return ""
    country = Language.make(territory=written.strip().upper())
    code = country.maximize().language if country.is_valid() else None
    return f" (a country; did you mean '{code}'?)" if code and code not in ("und", "en") else ""


def first_known_language(*fields: Any) -> Any:
    """The first of some fields that says a language, None where none does: nothing, not a number, or what means that it is
    not known (und, mul, x-default) says none."""
    for written in fields:
        if isinstance(written, str):
            plain = written.strip().lower()
            if plain and _AS_WRITTEN.get(plain, plain) != "und":
                return written
        elif written is not None and written == written:
            return written
    return None


def base_language(code: str) -> str:
    """The language of a tag without script and territory: zh-Hant -> zh."""
    return language_tag(code).partition("-")[0]


def language_script(code: str) -> str:
    """The script of a tag, ISO 15924: sw -> Latn, zh -> Hans, sr-Latn -> Latn."""
    return _script(language_tag(code)) or "Zyyy"


def nearest_language(code: str, known: Iterable[str]) -> str | None:
    """Which of some tags, as they stand there, a language is: the same tag, else one of its language, its script first."""
    known = list(known)
    same = [x for x in known if language_tag(x) == language_tag(code)]
    near = [x for x in known if base_language(x) == base_language(code)]
    near.sort(key=lambda x: (language_script(x) != language_script(code), x))
    return next(iter([*same, *near]), None)


def language_field(
    written: Any,
    field: str,
    path: Path | str,
    line: int | str,
    fix: str = "write for example en, sw or zh-Hant",
) -> str:
    """The tag of what stands in a field. Raises BadRow."""
    try:
        return language_tag(written)
    except MixlingError:
        raise BadRow(path, line, field, written, "a BCP-47 tag", fix) from None


@cache
def language_name(code: str) -> str:
    """The English name of a language, for people: `sw` -> Swahili."""
    from langcodes import Language

    return Language.get(code).display_name()


@cache
def is_right_to_left(code: str) -> bool:
    """Whether the language is written from right to left."""
    return _script(code) in _RIGHT_TO_LEFT
