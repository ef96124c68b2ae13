"""The settings of a training run, every default explained. `reading.py` reads them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mixling.batches.strategies import STRATEGIES
from mixling.models.weights import DEFAULT

_POSITIVE = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SourceConfig(_Part):
    """One corpus to train on."""

    name: str = Field(
        description="a named source (`mixling data list`), or a name of your own for a folder or hub set"
    )
    path: str | None = Field(None, description="folder of your own, or where a named source lies")
    hub: str | None = Field(None, description="Hugging Face data set, with `columns`")
    split: str | None = Field(None, description="default: the source's first")
    columns: dict[str, str] = Field(
        default_factory=dict, description="which column holds what, for a hub set"
    )
    language: str | None = Field(None, description="of all rows, where no column says it")
    languages: list[str] | None = Field(None, description="only these; default: all")
    query_languages: list[str] | None = Field(
        None, description='of the questions only these, for instance ["en"]; default: all'
    )
    sentences: bool = Field(
        False,
        description="passages cut into sentences before training, the one that answers found by the model where the set does not "
        "tell it, the others as hard negatives (`mixling locate-answers`)",
    )
    weight: Annotated[float, Field(gt=0)] = Field(
        1.0, description="how much more often than its size says it is drawn"
    )


class DataConfig(_Part):
    """What to train on."""

    sources: list[SourceConfig] = Field(
        min_length=1, description="names, or tables with name, path, hub, split, …"
    )
    passage: Literal["window", "whole"] = Field(
        "window",
        description="window: `window` characters round the answer (from the start where its place is not "
        "known), cut at spaces; whole: the passage as it is, cut at max_passage_length tokens",
    )
    window: _POSITIVE = Field(600, description="characters of a window")
    titles: bool = Field(
        True, description="a passage's title before its text, as evaluate, encode and index read it"
    )
    skip_bad: bool = Field(False, description="go on over bad rows; they are counted and listed")

    @field_validator("sources", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [{"name": v} if isinstance(v, str) else v for v in value]
        return value


class LoraConfig(_Part):
    """Low-rank adapters (arXiv:2106.09685) in place of all weights; they are merged into the model at the end."""

    rank: _POSITIVE = Field(16, description="of the adapters")
    alpha: Annotated[float, Field(gt=0)] = Field(32.0, description="scale: alpha / rank")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="before the adapters")
    targets: list[str] | Literal["all-linear"] = Field(
        "all-linear", description="names of modules, for instance query and value"
    )


class TransformConfig(_Part):
    """A linear map (`mixling debias`)."""

    method: Literal["map", "lsar"] = Field(
        "map",
        description="map: trained on stored vectors; lsar: a projection, of sentences and their translations alone",
    )
    when: Literal["before", "after"] = Field(
        "before",
        description="before training, the encoder is then trained behind it; or after, on what was trained",
    )
    fit: list[str] | None = Field(
        None,
        description="sources: sentences and their translations, and for `map` questions with answers; default: sib-200, and for "
        "`map` mlqa before training, after it the run's own sources (of them those with `sentences`, if any)",
    )
    languages: list[str] | None = Field(
        None,
        description="of the fitted texts; best: those of your collection. Default: as `mixling debias`",
    )


class ModelConfig(_Part):
    """What to train."""

    name: str = Field(DEFAULT, description="folder or hub name")
    pooling: Literal["mean", "cls", "max", "lasttoken"] | None = Field(
        None, description="default: the model's own"
    )
    similarity: Literal["cosine", "dot"] | None = Field(
        None, description="default: the model's own"
    )
    prompts: dict[str, str] | None = Field(
        None, description="query and passage; default: the model's own"
    )
    trust_remote_code: bool = Field(
        False,
        description="run Python code that the files of the model and of its teachers bring; without it such a model is refused",
    )
    max_query_length: _POSITIVE = Field(
        64, description="tokens; questions are rarely longer (LAReQA, mDPR: 64)"
    )
    max_passage_length: _POSITIVE = Field(256, description="tokens; mDPR's 256")
    transform: TransformConfig | None = Field(
        None,
        description="table with when, fit, languages: a linear map behind the encoder; default: none",
    )
    lora: LoraConfig | None = Field(
        None,
        description="table with rank, alpha, dropout, targets; default: all weights are trained",
    )


class BatchesConfig(_Part):
    """Which texts meet in a step."""

    strategy: str = Field("hybrid", description=f"one of {', '.join(STRATEGIES)}")
    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="share of mono batches in hybrid (arXiv:2408.10536)"
    )
    language: str | None = Field(None, description="of strategy single")
    size: Annotated[int, Field(ge=2)] = Field(
        32, description="pairs a batch; the paper's 100 wants a GPU"
    )
    seed: int = Field(0, ge=0, description="of the schedule")
    languages: Literal["uniform"] | float = Field(
        "uniform", description="or the exponent of a language's size"
    )
    corpora: float = Field(
        1.0, description="exponent of a source's size (1: by size, as the paper)"
    )
    random_interleave: bool = Field(
        False, description="kinds by coin, as the paper, and not evenly interleaved"
    )
    negatives: int = Field(
        0,
        ge=0,
        description="hard negatives a pair, where the source has them (`mixling mine-negatives`)",
    )
    negatives_in: Literal["mined", "pair", "any"] = Field(
        "mined",
        description="language of a hard negative: as in the source; the pair's passage's (mix entries); each its own "
        "(mix passages of arXiv:2404.08118)",
    )
    every_language: bool = Field(
        False,
        description="each group stands for all languages of its passages in one batch, which grows so many times (round "
        "robin entries)",
    )

    @field_validator("strategy")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STRATEGIES:
            raise ValueError(f"expected one of {', '.join(STRATEGIES)}")
        return value


class TermConfig(_Part):
    """One more term of the objective, added to it by weight."""

    name: str = Field(
        description="lakda, jsd, bitext, clear draw a question and its translation together; distil-vectors "
        "(sentence distillation), optical (optimal transport between tokens), distil-cosine (MIMO's, through a projection), distil-scores (KL) and margin-mse learn "
        "from a teacher"
    )
    weight: Annotated[float, Field(gt=0)] = Field(1.0, description="of this term")
    temperature: Annotated[float, Field(gt=0)] = Field(
        0.05, description="of bitext, clear and distil-scores; the others have none"
    )
    teacher: str | None = Field(
        None,
        description="folder or hub name of a frozen retriever (distil-scores and margin-mse: or of a cross-encoder); "
        "default: the model as it was before training",
    )
    epsilon: Annotated[float, Field(gt=0)] = Field(
        0.01,
        description="of optical: how blurred the transport is; at .05 every token is pulled to the middle of the other "
        "sentence (docs/findings.md, 6)",
    )
    over: Literal["batch", "list"] = Field(
        "batch",
        description="of distil-scores and margin-mse: the batch's passages, or (a cross-encoder always) the pair's own and "
        "its hard negatives",
    )
    pivot: str = Field(
        "en",
        description="language in which a teacher reads, where it is there: distil-cosine's texts, a list's",
    )

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        from mixling.training.terms.registry import TERMS

        if value not in TERMS:
            raise ValueError(f"expected one of {', '.join(TERMS)}")
        return value


class ObjectiveConfig(_Part):
    """What a step minimizes."""

    name: Literal["info-nce", "eq1", "eq1-all-positives"] = Field(
        "info-nce", description="see docs/design.md"
    )
    temperature: Annotated[float, Field(gt=0)] = Field(
        0.02, description="measured: docs/decisions.md"
    )
    symmetric: bool = Field(False, description="also from passage to question")
    weight: Annotated[float, Field(ge=0)] = Field(1.0, description="of this loss beside `terms`")
    terms: list[TermConfig] = Field(
        default_factory=list,
        description='further terms, for instance [{ name = "lakda", weight = 0.5 }]',
    )


class ValidationConfig(_Part):
    """Measuring on a development task as training goes on; the best step's weights are kept."""

    task: str = Field(description="a task that is not a test set, for instance mlqa-held-out")
    every: _POSITIVE = Field(50, description="steps")
    metric: str = Field("multilingual.mAP", description="setting.metric")
    patience: int = Field(
        0, ge=0, description="stop after so many measurements without a new best; 0: never"
    )


class TrainingConfig(_Part):
    """How to train."""

    steps: _POSITIVE = Field(150, description="optimizer steps")
    lr: Annotated[float, Field(gt=0)] = Field(
        3e-5, description="peak learning rate; measured: docs/decisions.md"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.01, description="AdamW's (arXiv:2408.10536)"
    )
    warmup: Annotated[float, Field(ge=0, le=1)] = Field(0.1, description="share of the steps")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="after the warm-up"
    )
    max_grad_norm: Annotated[float, Field(ge=0)] = Field(
        1.0, description="norm of the gradient; 0: none"
    )
    gradient_accumulation_steps: _POSITIVE = Field(
        1, description="batches whose gradients are averaged before a step"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the processor or GPU has it"
    )
    dropout: bool = Field(
        False, description="the model's own dropout; off: half the time on a CPU, and no worse"
    )
    freeze_embeddings: bool = Field(False, description="leave the word embeddings as they are")
    freeze_layers: int = Field(
        0, ge=0, description="lowest layers that stay as they are, with all embeddings; saves time"
    )
    average_with_base: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the base model's weights in the final ones"
    )
    seed: int = Field(0, ge=0, description="of dropout, adapters and projections")
    max_cached_tokens: _POSITIVE | None = Field(
        None,
        description="tokens whose states are kept for the backward pass; a larger batch goes through twice, a part at a "
        "time (GradCache), with the same gradients. Default: 16,384 on a CPU, 32,768 on a GPU",
    )
    gradient_checkpointing: bool = Field(
        False,
        description="keep each layer's input alone and compute the rest again: less memory, more time",
    )
    checkpoint_every: _POSITIVE = Field(100, description="steps")
    device: str | None = Field(None, description="cpu, cuda …; default: the best there is")
    trackers: list[str] = Field(
        default_factory=list, description="accelerate's, for instance tensorboard"
    )
    validation: ValidationConfig | None = Field(
        None, description="table with task, every, metric, patience"
    )


class Config(_Part):
    """A run. Only `[data] sources` must be given."""

    data: DataConfig
    model: ModelConfig = Field(default_factory=lambda: ModelConfig())
    batches: BatchesConfig = Field(default_factory=lambda: BatchesConfig())
    objective: ObjectiveConfig = Field(default_factory=lambda: ObjectiveConfig())
    training: TrainingConfig = Field(default_factory=lambda: TrainingConfig())
    soup: list[dict[str, Any]] = Field(
        default_factory=list,
        description="a table for each of several runs over these settings, whose weights are averaged (arXiv:2203.05482); in it "
        'what is its own of batches, objective, training and model.lora, for instance batches = { strategy = "x-y" }; default: one run',
    )
