"""The language of a document or a question, with how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from mixling.corpora.languages import language_tag
from mixling.errors import MixlingError
from mixling.models.identify import identified, language_identifier, unknown


def wanted(languages: Sequence[str] | None) -> list[str] | None:
    """The tags of the languages that documents may be in. Raises MixlingError for one that cannot be told from the others."""
    if languages is None:
        return None
    _installed()
    found = list(dict.fromkeys(language_tag(x) for x in languages))
    lost = unknown(found)
    if lost:
        raise MixlingError(
            f"--languages {','.join(found)}: texts in {', '.join(lost)} cannot be told from those in the others (py3langid does not "
            "know the language, or knows one in that script); give such documents a `language` field, or index them by "
            "themselves with --language"
        )
    return found


class LanguageIdentifier:
    """among: the languages that it may be, as they stand there; None: all that the identifier knows (140)."""

    def __init__(self, among: Sequence[str] | None = None):
        _installed()
        self.among = tuple(among or ())

    def __call__(self, text: str) -> tuple[str, float]:
        """Language and its probability, 0 where the script alone decided."""
        return identified(text, self.among)


def _installed() -> None:
    """Raises MixlingError where py3langid is not installed."""
    try:
        language_identifier()
    except ImportError:
        raise MixlingError("py3langid is not installed: pip install 'mixling[search]'") from None
