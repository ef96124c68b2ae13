"""The language of a document or a question, with how sure that is (py3langid, which ships its model)."""

from __future__ import annotations

from collections.abc import Sequence

from mixling.corpora.languages import tag
from mixling.errors import MixlingError


class Identifier:
    """among: the languages that it may be; None: all that the identifier knows (140)."""

    def __init__(self, among: Sequence[str] | None = None):
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError:
            raise MixlingError("py3langid is not installed: pip install 'mixling[search]'") from None
        self.inner = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        known = [x for x in among or () if x in self.inner.labels]
        if among and not known:
            self.only: str | None = among[0]
        else:
            self.only = None
            if known:
                self.inner.set_languages(known)

    def __call__(self, text: str) -> tuple[str, float]:
        """Language (BCP-47) and its probability."""
        if self.only is not None:
            return self.only, 0.0
        found, probability = self.inner.classify(text[:4000])
        return tag(found), float(probability)
