"""Language tags: every spelling of a language becomes one BCP-47 tag.

People write zh, zho, zho_Hans, zh_CN or chinese. A stored tag is the language, with its script
where that is not the language's usual one: `eng_Latn`, `en-US` and `english` are all `en`;
`zho_Hant`, `zh-TW` and `zh_HK` are `zh-Hant`. Territories, variants and extensions fold into the
language, except the written standards in `SEPARATE_STANDARDS`. docs/guides/data.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from mixling.corpora.files import replace_surrogates
from mixling.errors import BadRowError, MixlingError

_SPECIAL_TAGS = {
    "es-la": "es-419", "greek": "el", "mandarin": "zh", "farsi": "fa", "twi": "tw", "tw": "tw",
    # Bokmål, whatever it is called
    "no": "nb", "nor": "nb", "norwegian": "nb", "norsk": "nb",
    # languages without a usual script in CLDR, as FLORES writes them
    "acm": "acm-Arab", "acq": "acq-Arab", "azb": "azb-Arab", "pbt": "pbt-Arab",
    # no one language is meant
    "und": "und", "mul": "und", "mis": "und", "x-default": "und", "root": "und",
}  # fmt: skip
# territories whose written standards published sets keep apart from the language's other texts
SEPARATE_STANDARDS = ("pt-BR", "es-419", "fa-AF", "ti-ER", "ti-ET")
LONGEST_NAME = 80  # characters; the search for a longer name takes seconds
_RIGHT_TO_LEFT = {"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg"}
_NO_SCRIPT = "Zyyy"  # ISO 15924's code for an undetermined script
# POSIX and the names of translations: de_DE.UTF-8, sr_RS@latin
_LOCALE = re.compile(r"([A-Za-z]{2,3}(?:[_-][A-Za-z0-9]+)*)(?:\.[\w-]+)?(?:@(\w+))?")
# a name with a script or a country: Serbian (Latin), chinese-simplified
_NAME = re.compile(r"([^(（\[-]+?)\s*[(（\[-]([^)）\]-]+)[)）\]]?")


def language_tag(name: str) -> str:
    """Return the BCP-47 tag of a language.

    Args:
        name: The language as people write it: a tag, an ISO 639 code, a locale, or a name in
            English or in the language itself.

    Returns:
        The tag.

    Raises:
        MixlingError: The name is no language; the message says what to write.

    Example:
        >>> language_tag("Chinese (Traditional)")
        'zh-Hant'
    """
    try:
        if not isinstance(name, str) or len(name) > LONGEST_NAME:
            raise LookupError
        return _tag(name.strip())
    except (LookupError, UnicodeEncodeError):  # the latter for half a character
        name = replace_surrogates(str(name)[:LONGEST_NAME])
        raise MixlingError(
            f"'{name}' is not a language{_country_hint(name)}. Write a BCP-47 tag such as en, sw "
            "or zh-Hant, an ISO 639-3 code such as swa, or an English name."
        ) from None


@cache
def _tag(text: str) -> str:
    """Return the tag of a language by a tag, code, locale or name; else raise LookupError."""
    from langcodes import Language, standardize_tag
    from langcodes.tag_parser import LanguageTagError

    locale = _LOCALE.fullmatch(text)
    if locale is not None and text != locale[1]:  # with an encoding or a modifier
        script = _find_by_name("script", locale[2]) if locale[2] else None
        parts = locale[1].replace("_", "-").split("-", 1)
        return _tag("-".join([parts[0], *([script.script] if script else []), *parts[1:]]))
    text = text.replace("_", "-")
    lower = text.lower()
    if lower in _SPECIAL_TAGS:
        return _SPECIAL_TAGS[lower]
    if lower.startswith("twi-"):
        return "tw"
    if len(lower.partition("-")[0]) > 3 or not text.isascii():  # longer than a code
        return _tag_of_name(text)
    try:
        language = Language.get(standardize_tag(text, macro=True))
    except LanguageTagError:
        raise LookupError from None
    if not language.language or not language.is_valid():
        raise LookupError
    code, script, territory = language.language, language.script, language.territory
    if f"{code}-{territory}" in SEPARATE_STANDARDS and script in (None, _usual_script(code)):
        return f"{code}-{territory}"
    if script is None and territory is not None:
        script = _usual_script(f"{code}-{territory}")  # Taiwan's Chinese is Hant
    usual = _usual_script(code)
    # Korean's usual script is Hangul with Hanja (Kore), and what is written today is Hangul
    if script is None or script == usual or (usual == "Kore" and script == "Hang"):
        return _SPECIAL_TAGS.get(code, code)
    return f"{_SPECIAL_TAGS.get(code, code).partition('-')[0]}-{script}"


def _tag_of_name(text: str) -> str:
    """Return the tag of a language by its name, in English or in the language itself.

    A script or a country may follow in brackets. Raises LookupError if there is no such language.
    """
    if re.search(r"[\d,;/|]", text):  # several languages, or none
        raise LookupError
    named = _find_by_name("language", text)
    if named is not None:
        return _tag(named.to_tag())
    parts = _NAME.fullmatch(text)
    language = _find_by_name("language", parts[1]) if parts else None
    if parts is None or language is None:
        raise LookupError
    script = _find_by_name("script", parts[2])
    if script is not None:
        return _tag(f"{language.language}-{script.script}")
    territory = _find_by_name("territory", parts[2])
    code = parts[2].upper() if territory is None else territory.territory
    if not re.fullmatch(r"[A-Z]{2}", code or ""):
        raise LookupError
    return _tag(f"{language.language}-{code}")


def _find_by_name(part: Literal["language", "script", "territory"], name: str) -> Any:
    """Return the `langcodes.Language` that has a language, script or territory of some name.

    The name is English or in the language itself; None if there is no such name.
    """
    from langcodes import Language
    from language_data.names import TRIES, normalize_name

    for named_in in ("en", "und"):
        try:
            match = Language.find_name(part, name, named_in)
            # A name in any language may mean another one elsewhere, so only the names that the
            # language's own speakers use count.
            speakers = named_in if named_in == "en" else match.language or "en"
            Language.find_name(part, name, speakers)
        except (LookupError, FileNotFoundError):  # no such name; no names in that language
            continue
        # `find_name` takes a name's beginning too
        if normalize_name(name) in TRIES[f"{speakers}/name_to_{part}"]:
            return match
    return None


@cache
def _usual_script(code: str) -> str | None:
    """Return the script of a tag, else the one that CLDR expects for its language, else None."""
    from langcodes import Language

    return Language.get(code).maximize().script


def _country_hint(name: str) -> str:
    """Return a hint at a country's language if a name is a country's code, else an empty text."""
    from langcodes import Language

    if not re.fullmatch(r"[A-Za-z]{2}", name.strip()):
        return ""
    country = Language.make(territory=name.strip().upper())
    code = country.maximize().language if country.is_valid() else None
    return f" (a country; did you mean '{code}'?)" if code and code not in ("und", "en") else ""


def first_known_language(*values: Any) -> Any:
    """Return the first value that names a language.

    None, NaN, blank text and the tags of an unknown language (und, mul, x-default) name none.

    Args:
        *values: Values of a row's fields.

    Returns:
        The value as it stands; None if none of them names a language.
    """
    for value in values:
        if isinstance(value, str):
            lower = value.strip().lower()
            if lower and _SPECIAL_TAGS.get(lower, lower) != "und":
                return value
        elif value is not None and value == value:  # NaN differs from itself
            return value
    return None


def base_language(code: str) -> str:
    """Return the language of a tag without script and territory: zh-Hant gives zh."""
    return language_tag(code).partition("-")[0]


def language_script(code: str) -> str:
    """Return the script of a tag, ISO 15924: sw gives Latn, zh gives Hans, sr-Latn gives Latn."""
    return _usual_script(language_tag(code)) or _NO_SCRIPT


def nearest_language(code: str, known: Iterable[str]) -> str | None:
    """Return the tag among some that is nearest to a language.

    Args:
        code: The language.
        known: Tags, in any spelling.

    Returns:
        The same tag; else one of the same language, preferably of the same script; else None. The
        result is spelled as it is in `known`.
    """
    tags = list(known)
    same = [x for x in tags if language_tag(x) == language_tag(code)]
    related = [x for x in tags if base_language(x) == base_language(code)]
    related.sort(key=lambda x: (language_script(x) != language_script(code), x))
    return next(iter([*same, *related]), None)


def language_field(
    value: Any,
    field: str,
    path: Path | str,
    line: int | str,
    fix: str = "write for example en, sw or zh-Hant",
) -> str:
    """Return the tag of the language in a row's field.

    Args:
        value: The field's value.
        field: The field, for the error.
        path: The file, for the error.
        line: The line or place in the file, for the error.
        fix: What the user should do, for the error.

    Returns:
        The BCP-47 tag.

    Raises:
        BadRowError: The value is no language.
    """
    try:
        return language_tag(value)
    except MixlingError:
        raise BadRowError(path, line, field, value, "a BCP-47 tag", fix) from None


@cache
def language_name(code: str) -> str:
    """Return the English name of a language: `sw` gives Swahili."""
    from langcodes import Language

    return Language.get(code).display_name()


@cache
def is_right_to_left(code: str) -> bool:
    """Return whether a language is written from right to left."""
    return _usual_script(code) in _RIGHT_TO_LEFT
