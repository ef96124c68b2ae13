"""The language of a text: py3langid, whose model comes with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mixling.errors import MixlingError


def identify(texts: Sequence[str], among: Sequence[str]) -> list[str]:
    """The language of each text, among some. Raises MixlingError where py3langid is not installed."""
    try:
        found = identifier(tuple(sorted(among)))
    except ImportError:
        raise MixlingError(
            "the texts' languages must be named: give them (languages=…), or pip install 'mixling[language]'"
        ) from None
    return [found.classify(t)[0] for t in texts]


@lru_cache(maxsize=8)
def identifier(among: tuple[str, ...] = ()) -> Any:
    """py3langid's identifier, which gives language and probability, among those of some languages that it knows (none: all)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    known = [x for x in among if x in found.labels]
    if known:
        found.set_languages(known)
    return found
