"""The reports of `index` and `export`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixling.models.adapter import Adapter


@dataclass(frozen=True)
class IndexReport:
    """The counts of `index`, and the contents of the store afterwards.

    Attributes:
        documents: Documents of the source.
        unchanged: Documents that the store held with the same content.
        written: New and changed documents.
        gone: Documents that were deleted from the store because the source no longer has them.
        passages_encoded: Passages that were encoded, or loaded from `vectors`.
        passages_titled: Of these, passages that the model read with their titles.
        skipped: One message for each row or file that could not be read.
        left_out: Files of the folder that have another suffix than those that are read, counted by
            suffix.
        passages: Passages of the store.
        languages: Passages of the store by language.
        language_variance: Share of the vectors' variance that language explains, from 0 to 1, for a
            model with a transform by language; None for another (`mixling.searching.drift`).
        new_languages: Passages of languages that this transform does not know.
    """

    documents: int
    unchanged: int
    written: int
    gone: int = 0
    passages_encoded: int = 0
    passages_titled: int = 0
    skipped: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    passages: int = 0
    languages: Mapping[str, int] = field(default_factory=dict)
    language_variance: float | None = None
    new_languages: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "skipped": list(self.skipped)}


@dataclass(frozen=True)
class ExportReport:
    """The files that `export` wrote.

    Attributes:
        out: The folder of a model, or the Parquet file of a store.
        passages: Passages of a store; None for a model.
        differences: Largest absolute difference of a vector's number from the original model's, by
            format ("onnx", "openvino"); empty otherwise.
        adapter: Size and exactness of an adapter; None for what is none.
    """

    out: Path
    passages: int | None = None
    differences: Mapping[str, float] = field(default_factory=dict)
    adapter: Adapter | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "out": str(self.out)}
