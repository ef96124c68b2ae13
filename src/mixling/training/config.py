"""The configuration of a training run, with the meaning of every option. `load_config` loads it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from mixling.batches.language_pairs import PAIRINGS
from mixling.batches.strategies import STRATEGIES
from mixling.models.weights import DEFAULT
from mixling.training.config_table import ConfigTable
from mixling.training.objective_config import ObjectiveConfig

_Positive = Annotated[int, Field(ge=1)]


class SourceConfig(ConfigTable):
    """One corpus to train on."""

    name: str = Field(
        description="a named source (`mixling data list`), or a name of your own for a folder or "
        "hub set"
    )
    path: str | None = Field(
        None, description="a folder of your own, or the folder of a named source"
    )
    hub: str | None = Field(None, description="a Hugging Face data set; needs `columns`")
    revision: str | None = Field(
        None, description="the commit of the hub data set; default: the newest one"
    )
    split: str | None = Field(None, description="default: the source's split train")
    columns: dict[str, str] = Field(
        default_factory=dict, description="which column of a hub set holds what"
    )
    language: str | None = Field(
        None, description="rows without a `language` field get this language"
    )
    languages: list[str] | None = Field(
        None, description="take only these languages; default: all languages"
    )
    query_languages: list[str] | None = Field(
        None,
        description='take only queries in these languages, e.g. ["en"]; default: all languages',
    )
    sentences: bool = Field(
        False,
        description="cut passages into sentences before training: the sentence with the answer is "
        "the passage (the model finds it where the data do not tell it), the others are hard "
        "negatives (`mixling locate-answers`)",
    )
    weight: Annotated[float, Field(gt=0)] = Field(
        1.0, description="sampling weight, relative to size-proportional sampling"
    )
    batch_type: Literal["mono", "cross"] | None = Field(
        None,
        description="the only type of batch that takes the source: mono (one language) or cross "
        "(pairs in two; sentences with translations answer themselves in one); default: both",
    )


class DataConfig(ConfigTable):
    """The training data."""

    sources: list[SourceConfig] = Field(
        min_length=1, description="names, or tables with name, path, hub, split, …"
    )
    passage: Literal["window", "whole"] = Field(
        "window",
        description="window: `window` characters around the answer (the start of the passage if "
        "its place is unknown), cut at spaces; whole: the passage, cut at max_passage_length "
        "tokens",
    )
    window: _Positive = Field(600, description="characters of a window")
    titles: bool = Field(
        True,
        description="let the model read a passage's title in its own way, as evaluate, encode and "
        "index do; a model that is trained without titles is used without them",
    )
    skip_bad: bool = Field(False, description="skip bad rows; they are counted and listed")
    exclude: list[str] = Field(
        default_factory=list,
        description="tasks (`mixling evaluate --task`): a group with a text that one of them has "
        "is left out in all languages, and counted in run.json",
    )

    @field_validator("sources", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [{"name": v} if isinstance(v, str) else v for v in value]
        return value


class LoraConfig(ConfigTable):
    """Low-rank adapters (arXiv:2106.09685) instead of all weights.

    They are merged into the model.
    """

    rank: _Positive = Field(16, description="rank of the adapters")
    alpha: Annotated[float, Field(gt=0)] = Field(32.0, description="the scale is alpha / rank")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="dropout before the adapters"
    )
    targets: list[str] | Literal["all-linear"] = Field(
        "all-linear", description="names of modules, for instance query and value"
    )


class TransformConfig(ConfigTable):
    """A linear transform of the embeddings (`mixling debias`)."""

    method: Literal["trained", "lsar"] = Field(
        "trained",
        description="trained: trained on stored vectors; lsar: a projection, fitted on sentences "
        "and their translations",
    )
    when: Literal["before", "after"] = Field(
        "before",
        description="before: fitted before training, and the encoder is trained with it; after: "
        "fitted on the trained model",
    )
    fit: list[str] | None = Field(
        None,
        description="sources: sentences with translations, and for `trained` queries with answers; "
        "default: sib-200, and for `trained` mlqa before training, after it the run's own sources "
        "(those with `sentences`, if any)",
    )
    languages: list[str] | None = Field(
        None,
        description="languages to fit on, best those of your collection; default: as `mixling "
        "debias`",
    )


class ModelConfig(ConfigTable):
    """The model to train."""

    name: str = Field(DEFAULT, description="folder or hub name")
    pooling: Literal["mean", "cls", "max", "lasttoken"] | None = Field(
        None, description="default: the model's own"
    )
    similarity: Literal["cosine", "dot"] | None = Field(
        None, description="default: the model's own"
    )
    prompts: dict[str, str] | None = Field(
        None,
        description='prompts of query and passage, "" for none; a role that is missing keeps the '
        "model's own",
    )
    trust_remote_code: bool = Field(
        False,
        description="run Python code that the files of the model and its teachers bring; without "
        "this, such a model is refused",
    )
    max_query_length: _Positive = Field(
        64, description="tokens; queries are rarely longer (LAReQA and mDPR: 64)"
    )
    max_passage_length: _Positive = Field(256, description="tokens (mDPR: 256)")
    transform: TransformConfig | None = Field(
        None,
        description="table with method, when, fit, languages: a linear transform after the "
        "encoder; default: none",
    )
    lora: LoraConfig | None = Field(
        None,
        description="table with rank, alpha, dropout, targets; default: all weights are trained",
    )


class BatchesConfig(ConfigTable):
    """Which texts meet in a batch."""

    strategy: str = Field("hybrid", description=f"one of {', '.join(STRATEGIES)}")
    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="share of monolingual batches of the strategy hybrid (arXiv:2408.10536)"
    )
    language: str | None = Field(None, description="the language of the strategy single")
    size: Annotated[int, Field(ge=2)] = Field(
        32, description="pairs a batch; the paper's 100 needs a GPU"
    )
    seed: int = Field(0, ge=0, description="seed of the schedule")
    languages: Literal["uniform"] | float = Field(
        "uniform", description="sample languages uniformly, or by their size to this power"
    )
    pair_languages: Literal["uniform"] | float | None = Field(
        None, description="`languages` for pairs in two languages; default: the same"
    )
    pairs: list[str] = Field(
        ["all"],
        min_length=1,
        description="which two languages may pair: all, pivot (with one of `pivots`), script (of "
        "one script), family (of one family); of several, what one allows",
    )
    pivots: list[str] = Field(["en", "fr"], description="the languages of the pairing pivot")
    corpora: float = Field(
        1.0, description="sample sources by their size to this power (1: by size, as in the paper)"
    )
    random_interleave: bool = Field(
        False,
        description="draw the type of each batch at random, as in the paper, instead of "
        "interleaving the types evenly",
    )
    negatives: int = Field(
        0, ge=0, description="hard negatives a pair, if the source has them (see mine-negatives)"
    )
    negatives_in: Literal["mined", "pair", "any"] = Field(
        "mined",
        description="language of a hard negative: mined: as in the source; pair: as the pair's "
        "passage (mix entries of arXiv:2404.08118); any: each has another (its mix passages)",
    )
    every_language: bool = Field(
        False,
        description="repeat each group for all languages of its passages, which makes the batch so "
        "many times larger (round-robin entries of arXiv:2404.08118)",
    )

    @field_validator("strategy")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STRATEGIES:
            raise ValueError(f"expected one of {', '.join(STRATEGIES)}")
        return value

    @field_validator("pairs")
    @classmethod
    def _known_pairs(cls, value: list[str]) -> list[str]:
        if not set(value) <= set(PAIRINGS):
            raise ValueError(f"expected some of {', '.join(PAIRINGS)}")
        return value


class ValidationConfig(ConfigTable):
    """A development task that is measured during training. The best step's weights are kept."""

    task: str = Field(description="a task that is no test set, for instance mlqa-held-out")
    every: _Positive = Field(50, description="steps between two measurements")
    metric: str = Field("multilingual.mAP", description="scenario.metric")
    patience: int = Field(
        0,
        ge=0,
        description="stop after this many measurements without a new best; 0: never stop",
    )


class TrainingConfig(ConfigTable):
    """The options of the training."""

    steps: _Positive = Field(150, description="optimizer steps")
    lr: Annotated[float, Field(gt=0)] = Field(
        3e-5, description="peak learning rate; measured: docs/development/decisions.md"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.01, description="AdamW's weight decay (arXiv:2408.10536)"
    )
    warmup: Annotated[float, Field(ge=0)] = Field(
        0.1, description="warm-up: a fraction of the steps, or a number of steps above 1"
    )
    schedule: Literal["linear", "cosine", "constant", "wsd"] = Field(
        "linear",
        description="learning rate after the warm-up; wsd: constant, then `decay` "
        "(arXiv:2405.18392), so that a longer run can go on from it",
    )
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.2, description="fraction of the steps in which wsd's learning rate falls"
    )
    continues: str | None = Field(
        None,
        description="folder of a shorter run with schedule wsd, whose steps before its decay are "
        "taken over",
    )
    max_grad_norm: Annotated[float, Field(ge=0)] = Field(
        1.0, description="largest norm of the gradient; 0: no limit"
    )
    gradient_accumulation_steps: _Positive = Field(
        1, description="batches whose gradients are averaged before a step"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 if the GPU has it or the processor is faster in it"
    )
    dropout: bool = Field(
        False,
        description="use the model's dropout; without it, training takes half the time on a CPU "
        "and is no worse",
    )
    freeze_embeddings: bool = Field(False, description="freeze the word embeddings")
    freeze_layers: int = Field(
        0, ge=0, description="freeze the embeddings and the first n layers; saves time"
    )
    average_with_base: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the base model's weights in the final weights"
    )
    seed: int = Field(0, ge=0, description="seed of dropout, adapters and projections")
    max_cached_tokens: _Positive | None = Field(
        None,
        description="tokens whose states are kept for the backward pass; a larger batch goes "
        "through the encoder twice, a part at a time, with the same gradients (GradCache). "
        "Default: 16,384 on a CPU, 32,768 on a GPU",
    )
    gradient_checkpointing: bool = Field(
        False,
        description="keep only the input of each layer and compute the rest again: less memory, "
        "more time",
    )
    checkpoint_every: _Positive = Field(100, description="steps between two checkpoints")
    device: str | None = Field(None, description="cpu, cuda, …; default: the best device")
    trackers: list[str] = Field(
        default_factory=list, description="trackers of Accelerate, for instance tensorboard"
    )
    validation: ValidationConfig | None = Field(
        None, description="table with task, every, metric, patience"
    )


class Config(ConfigTable):
    """A training run. Only `[data] sources` must be given.

    Args:
        data: The training data.
        model: The model to train.
        batches: Which texts meet in a batch.
        objective: The objective that a step minimizes.
        training: The options of the training.
        soup: A table for each of several runs whose weights are averaged.

    Example:
        >>> import mixling
        >>> config = mixling.Config(data={"sources": ["sample"]}, batches={"strategy": "x-y"})
        >>> config.batches.size
        32
    """

    data: DataConfig
    model: ModelConfig = Field(default_factory=lambda: ModelConfig())
    batches: BatchesConfig = Field(default_factory=lambda: BatchesConfig())
    objective: ObjectiveConfig = Field(default_factory=lambda: ObjectiveConfig())
    training: TrainingConfig = Field(default_factory=lambda: TrainingConfig())
    soup: list[dict[str, Any]] = Field(
        default_factory=list,
        description="a table for each of several runs whose weights are averaged "
        "(arXiv:2203.05482), with what differs of batches, objective, training and model.lora, for "
        "instance "
        'batches = { strategy = "x-y" }; default: one run',
    )
