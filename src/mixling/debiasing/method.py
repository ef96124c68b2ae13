"""The interface of a debiasing method: its options, what it needs of the texts, and its `fit`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from mixling.debiasing.embedded_corpus import EmbeddedCorpus
from mixling.errors import MixlingError, check_finite_numbers
from mixling.transforms.files import VectorTransform
from mixling.transforms.transforms import ScoreCalibration

Transform = VectorTransform | ScoreCalibration
"""What a method fits: a transform of vectors, or a calibration of scores."""


@dataclass(frozen=True)
class DebiasingMethod(ABC):
    """A way to remove the language from vectors.

    A method is a frozen dataclass. Its fields are its options, each with a default. Its class
    attributes declare what it needs of the texts that it is fitted on; `check` refuses texts
    that lack it. `mixling.debiasing.registry` lists the methods by name.

    Attributes:
        name: What users call the method.
        needs_languages: Whether it compares languages, so that texts in two of them are needed.
        needs_translation_groups: Whether it compares a text with its translations.
        needs_queries: Whether it learns from queries and the passages that answer them. Sentences
            and their translations alone do not serve such a method.
        raw: Whether it is fitted on vectors as the encoder pools them, before normalization.
        transforms_vectors: Whether it changes vectors, rather than the scores of a ranking.
    """

    name: ClassVar[str]
    needs_languages: ClassVar[bool] = True
    needs_translation_groups: ClassVar[bool] = False
    needs_queries: ClassVar[bool] = False
    raw: ClassVar[bool] = False
    transforms_vectors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        check_finite_numbers(**{k: v for k, v in values.items() if isinstance(v, float)})
        for name in ("rank", "steps", "size"):
            if values.get(name) is not None and values[name] < 1:
                raise MixlingError(f"{name} {values[name]}: expected 1 or more")

    @abstractmethod
    def fit(self, corpora: Sequence[EmbeddedCorpus]) -> Transform:
        """Fit a transform on embedded texts.

        Args:
            corpora: Texts as vectors, one corpus for each source.

        Returns:
            The transform.

        Raises:
            MixlingError: The texts do not suffice.
        """

    def check(self, corpora: Sequence[EmbeddedCorpus]) -> None:
        """Refuse texts that lack what the method needs.

        Args:
            corpora: Texts as vectors, one corpus for each source.

        Raises:
            MixlingError: The texts lack languages, translations, or queries with answers.
        """
        if self.needs_languages and len({x for c in corpora for x in c.languages()}) < 2:
            raise MixlingError("debiasing needs texts in two languages at least")
        if self.needs_translation_groups and not any(c.has_translations() for c in corpora):
            raise MixlingError(f"method '{self.name}' needs parallel texts, and there are none")
        if self.needs_queries and all(c.bitext for c in corpora):
            raise MixlingError(
                f"--method {self.name} learns from queries and their answers, and the fitted "
                "texts are sentences and their translations only; add such a source, for instance "
                "--fit mlqa"
            )
