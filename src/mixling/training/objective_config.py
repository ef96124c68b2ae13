"""The tables of a configuration that say what a step minimizes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from mixling.training.config_table import ConfigTable


class TermConfig(ConfigTable):
    """A further term of the objective."""

    name: str = Field(
        description="lakda, jsd, bitext, clear: pull a query and its translation together; "
        "distil-vectors (sentence distillation), optical (optimal transport between tokens), "
        "distil-cosine (MIMO's, through a projection), distil-scores (KL) and margin-mse: learn "
        "from a teacher"
    )
    weight: Annotated[float, Field(gt=0)] = Field(1.0, description="weight of the term")
    temperature: Annotated[float, Field(gt=0)] = Field(
        0.05, description="temperature of bitext, clear and distil-scores; the others have none"
    )
    teacher: str | None = Field(
        None,
        description="folder or hub name of a frozen retriever (distil-scores and margin-mse: or of "
        "a cross-encoder); default: the model before training",
    )
    epsilon: Annotated[float, Field(gt=0)] = Field(
        0.01,
        description="entropy regularization of optical's transport; at 0.05 every token is pulled "
        "to the middle of the other sentence (docs/results/terms.md)",
    )
    over: Literal["batch", "list"] = Field(
        "batch",
        description="what distil-scores and margin-mse compare: the batch's passages, or the "
        "pair's own passage and its hard negatives (a cross-encoder: always)",
    )
    pivot: str = Field(
        "en",
        description="the language that a teacher reads, if the texts exist in it: distil-cosine's "
        "texts, a list's texts",
    )

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        from mixling.training.terms.registry import TERMS

        if value not in TERMS:
            raise ValueError(f"expected one of {', '.join(TERMS)}")
        return value


class ObjectiveConfig(ConfigTable):
    """The objective that a step minimizes."""

    name: Literal["info-nce", "eq1", "eq1-all-positives"] = Field(
        "info-nce", description="the contrastive loss, see docs/development/architecture.md"
    )
    temperature: Annotated[float, Field(gt=0)] = Field(
        0.02, description="measured: docs/development/decisions.md"
    )
    temperatures: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="temperatures of queries in some languages, for instance { am = 0.05 }, for "
        "info-nce; the others have `temperature`",
    )
    symmetric: bool = Field(False, description="also contrast from passage to query")
    weight: Annotated[float, Field(ge=0)] = Field(
        1.0, description="weight of the contrastive loss beside `terms`"
    )
    terms: list[TermConfig] = Field(
        default_factory=list,
        description='further terms, for instance [{ name = "lakda", weight = 0.5 }]',
    )
