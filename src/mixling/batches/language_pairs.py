"""Which two languages may stand on the two sides of a pair.

Rules add up: with `pivot` and `family`, a pair is allowed if either allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mixling.corpora.families import language_family
from mixling.corpora.languages import language_script, language_tag
from mixling.errors import MixlingError, choose

Pairing = Callable[[Sequence[str], Sequence[str]], np.ndarray]


def _all(languages: Sequence[str], pivots: Sequence[str]) -> np.ndarray:
    """Allow all pairs."""
    return np.ones((len(languages), len(languages)), bool)


def _pivot(languages: Sequence[str], pivots: Sequence[str]) -> np.ndarray:
    """Allow pairs with a pivot on one side."""
    tags = {language_tag(x) for x in pivots}
    is_pivot = np.array([language_tag(x) in tags for x in languages])
    return np.asarray(is_pivot[:, None] | is_pivot[None, :])


def _script(languages: Sequence[str], pivots: Sequence[str]) -> np.ndarray:
    """Allow pairs of languages that are written in one script."""
    return _alike([language_script(x) for x in languages])


def _family(languages: Sequence[str], pivots: Sequence[str]) -> np.ndarray:
    """Allow pairs of languages of one family."""
    families = [language_family(x) for x in languages]
    unknown = [x for x, family in zip(languages, families, strict=True) if family is None]
    if unknown:
        raise MixlingError(
            f"batches.pairs has 'family', but the family of {', '.join(unknown)} is not known. "
            "Leave these languages out with the source's `languages`, or take 'script' or 'pivot'."
        )
    return _alike([str(x) for x in families])


def _alike(labels: Sequence[str]) -> np.ndarray:
    array = np.array(labels)
    alike: np.ndarray = array[:, None] == array[None, :]
    return alike


PAIRINGS: dict[str, Pairing] = {
    "all": _all,
    "pivot": _pivot,
    "script": _script,
    "family": _family,
}


def allowed_pairs(
    languages: Sequence[str], pairings: Sequence[str], pivots: Sequence[str]
) -> np.ndarray:
    """Return which languages may be the query's and the passage's of a pair in two languages.

    Args:
        languages: BCP-47 tags.
        pairings: Names of `PAIRINGS`; a pair is allowed if one of them allows it.
        pivots: The languages through which "pivot" pairs.

    Returns:
        bool `[n_languages, n_languages]`, symmetric; False on the diagonal.

    Raises:
        MixlingError: A pairing is unknown, or cannot tell about a language.
    """
    allowed = np.zeros((len(languages), len(languages)), bool)
    for name in pairings:
        allowed |= PAIRINGS[choose(name, PAIRINGS, "pairing")](languages, pivots)
    np.fill_diagonal(allowed, False)
    return allowed
