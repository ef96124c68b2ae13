"""The language of a document or a question, with how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from mixling.corpora.languages import tag
from mixling.errors import MixlingError
from mixling.models.identify import identifier


class Identifier:
    """among: the languages that it may be; None: all that the identifier knows (140)."""

    def __init__(self, among: Sequence[str] | None = None):
        try:
            self.inner = identifier(tuple(sorted(among or ())))
        except ImportError:
            raise MixlingError("py3langid is not installed: pip install 'mixling[search]'") from None
        self.only = among[0] if among and not set(among) & set(self.inner.labels) else None

    def __call__(self, text: str) -> tuple[str, float]:
        """Language (BCP-47) and its probability."""
        if self.only is not None:
            return self.only, 0.0
        found, probability = self.inner.classify(text[:4000])
        return tag(found), float(probability)
