"""The resource level of a language, and whether the usual encoders know its script.

The level follows the size of the language in CC-100, the text on which XLM-R and the encoders made
from it (E5, BGE-M3) were trained (Conneau et al. 2020, arXiv:1911.02116, table 6): high, 10 GB or
more; middle, 1 GB or more; low, less; unseen, not among its languages. The published sizes are
rounded, so only the levels are used.
"""

from __future__ import annotations

from functools import cache

from mixling.corpora.languages import language_script
from mixling.corpora.source import parse_languages

LEVELS = {
    "high": parse_languages(
        "ar bg ca cs da de el en es fa fi fr he hi hr hu id it ja ko lt nb nl no pl pt ro ru sk sl "
        "sv ta th tr uk vi zh zh-Hant"
    ),
    "middle": parse_languages(
        "af az be bn et eu fil gl gu hy is ka kk km kn ky la lv mk ml mn mr ms ne si sq sr sw "
        "te tl ur"
    ),
    "low": parse_languages(
        "am as br bs cy eo fy ga gd ha jv ku lo mg my om or pa ps sa sd so su ug uz xh yi"
    ),
}
LEVEL_ORDER = (*LEVELS, "unseen")
# macrolanguages' tags, and variants of a language that is in the list
_SAME_LANGUAGE = {"pt-BR": "pt", "es-419": "es", "nn": "no", "pbt-Arab": "ps", "fa-AF": "fa"}


@cache
def resource_level(code: str) -> str:
    """Return the resource level of a language.

    Args:
        code: Its BCP-47 tag.

    Returns:
        One of `LEVEL_ORDER`: high, middle, low or unseen.
    """
    code = _SAME_LANGUAGE.get(code, code)
    return next((level for level, codes in LEVELS.items() if code in codes), "unseen")


@cache
def _seen_scripts() -> frozenset[str]:
    """Return the scripts of all languages of CC-100."""
    return frozenset(language_script(code) for codes in LEVELS.values() for code in codes)


def is_script_seen(code: str) -> bool:
    """Return whether some language of CC-100 is written in the script of a language.

    Args:
        code: The language's BCP-47 tag.
    """
    return language_script(code) in _seen_scripts()
