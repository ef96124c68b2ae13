"""The interface of a debiasing method: its options, what it needs of the texts, and its `fit`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from mixling.debiasing.embedded_corpus import EmbeddedCorpus
from mixling.errors import MixlingError, check_at_least, check_finite_numbers
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
        check_at_least(1, **{k: values.get(k) for k in ("rank", "steps", "size")})
        check_at_least(0, **{k: values.get(k) for k in ("seed", "pull", "bitext")})
        for name in ("temperature", "rate"):
            if values.get(name) is not None and values[name] <= 0:
                raise MixlingError(f"{name} is {values[name]}. Expected a number above 0.")

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
            raise MixlingError(
                "debiasing compares languages, and the texts are in fewer than two. Add a "
                "source or languages."
            )
        if self.needs_translation_groups and not any(c.has_translations() for c in corpora):
            raise MixlingError(
                f"method '{self.name}' needs parallel texts, and the sources have none. Add a "
                "source with translations, for instance --fit sib-200."
            )
        if self.needs_queries and all(c.bitext for c in corpora):
            raise MixlingError(
                f"method '{self.name}' learns from queries and their answers, but the texts are "
                "sentences and their translations only. Add a source with answers, for instance "
                "--fit mlqa."
            )
