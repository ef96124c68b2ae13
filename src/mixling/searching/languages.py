"""Identifies the language of documents and queries, with its probability."""

from __future__ import annotations

from collections.abc import Sequence

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError, not_installed
from mixling.models.identify import (
    identify_language,
    indistinguishable_languages,
    language_identifier,
)


def check_languages(languages: Sequence[str] | None) -> list[str] | None:
    """Return the tags of the languages that documents may be in; None stays None.

    Raises:
        MixlingError: The identifier cannot tell one of them from the others.
    """
    if languages is None:
        return None
    _require_identifier()
    tags = list(dict.fromkeys(language_tag(x) for x in languages))
    indistinct = indistinguishable_languages(tags)
    if indistinct:
        raise MixlingError(
            f"--languages {','.join(tags)}: texts in {', '.join(indistinct)} cannot be "
            "distinguished from those in the others (py3langid does not know the language, or "
            "knows one language in that script). Give such documents a `language` field, or "
            "index them separately with --language."
        )
    return tags


class LanguageIdentifier:
    """Identifies the language of a text.

    Args:
        among: The languages that it may be, as they are returned; None: all that the identifier
            knows (140).

    Raises:
        MixlingError: py3langid is not installed.
    """

    def __init__(self, among: Sequence[str] | None = None):
        _require_identifier()
        self.among = tuple(among or ())

    def __call__(self, text: str) -> tuple[str, float]:
        """Return the language of a text and its probability.

        The probability is 0 where the script alone decided.
        """
        return identify_language(text, self.among)


def _require_identifier() -> None:
    """Raise `MixlingError` where py3langid is not installed."""
    try:
        language_identifier()
    except ImportError:
        raise not_installed("py3langid", "search") from None
