"""How much text of a language the usual encoders have seen, and whether they know its script.

Levels by the size of CC-100, the text that XLM-R, and encoders made from it (E5, BGE-M3), were trained on
(Conneau et al. 2020, arXiv:1911.02116, table 6): high, 10 GB or more; middle, 1 GB or more; low, less; unseen,
not among its languages. Levels, not sizes, are meant to be used: the published sizes are rounded.
"""

from __future__ import annotations

from functools import cache

from mixling.corpora.languages import language_script
from mixling.corpora.source import parse_languages

LEVELS = {
    "high": parse_languages(
        "ar bg ca cs da de el en es fa fi fr he hi hr hu id it ja ko lt nb nl no pl pt ro ru sk sl sv ta th tr uk vi zh "
        "zh-Hant"
    ),
    "middle": parse_languages(
        "af az be bn et eu fil gl gu hy is ka kk km kn ky la lv mk ml mn mr ms ne si sq sr sw te tl ur"
    ),
    "low": parse_languages(
        "am as br bs cy eo fy ga gd ha jv ku lo mg my om or pa ps sa sd so su ug uz xh yi"
    ),
}
LEVEL_ORDER = (*LEVELS, "unseen")
# written with the macrolanguage's tag, or as a variant of a language that is there
_SAME = {"pt-BR": "pt", "es-419": "es", "nn": "no", "pbt-Arab": "ps", "fa-AF": "fa"}


@cache
def resource_level(code: str) -> str:
    """One of ORDER."""
    code = _SAME.get(code, code)
    return next((name for name, there in LEVELS.items() if code in there), "unseen")


@cache
def _seen() -> frozenset[str]:
    return frozenset(language_script(code) for there in LEVELS.values() for code in there)


def is_script_seen(code: str) -> bool:
    """Whether some language of CC-100 is written in the same script."""
    return language_script(code) in _seen()
