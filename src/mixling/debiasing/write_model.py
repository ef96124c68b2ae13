"""Write a model with a transform of its vectors: a model folder, or an encoder and a transform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixling.corpora.files import write_text
from mixling.debiasing.method import Transform
from mixling.disk import new_folder
from mixling.machine import library_versions
from mixling.models.encoder import ExternalEncoder
from mixling.transforms.chain import parts_of
from mixling.transforms.files import VectorTransform, write_tensors
from mixling.transforms.transforms import AffineTransform, LanguageTransform, ScoreCalibration

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever


def write_debiased(
    encoder: Retriever | ExternalEncoder,
    transform: Transform,
    method: str,
    out: Path,
    origin: dict[str, Any],
) -> None:
    """Write a model with a transform of its vectors, all or nothing.

    Args:
        encoder: The model.
        transform: The transform, or for a Retriever a calibration of its scores.
        method: Name of the method.
        out: The folder to write.
        origin: What the transform was fitted on.

    Raises:
        MixlingError: `out` cannot be written.
    """
    if isinstance(encoder, ExternalEncoder):
        from mixling.models.transformed import write_transformed

        assert not isinstance(transform, ScoreCalibration)  # `debias` refuses that before it fits
        write_transformed(encoder, transform, out, origin)
    else:
        _write_model(encoder, transform, method, out, origin)


def _write_model(
    retriever: Retriever, transform: Transform, method: str, out: Path, origin: dict[str, Any]
) -> None:
    """Write the model with the transform behind it, its card and its origin."""
    from mixling.models.card import debiased_card

    metadata = {"method": method} if isinstance(transform, ScoreCalibration) else transform.metadata
    origins = {**retriever.origin, "debiased": {**metadata, **origin}}
    original = list(retriever.model)
    _set_modules(retriever, _modules_with(retriever, transform))
    try:
        card = debiased_card(
            origins["debiased"],
            library_versions()["mixling"],
            origins.get("license"),
            isinstance(transform, VectorTransform) and not isinstance(transform, AffineTransform),
        )
        with new_folder(out) as folder:
            retriever.save(folder, card, origins)
            if not isinstance(transform, ScoreCalibration) and not _is_raw(transform):
                write_tensors(transform, folder, origin)
            if isinstance(transform, ScoreCalibration):
                write_text(folder / "scores.json", json.dumps(transform.to_dict(), indent=1))
    finally:
        _set_modules(retriever, original)


def _is_raw(transform: VectorTransform) -> bool:
    """Return whether it applies before normalization, to vectors that no store holds."""
    return isinstance(transform, LanguageTransform) and transform.raw


def _modules_with(retriever: Retriever, transform: Transform) -> list[Any]:
    """The modules of a retriever with those of a transform."""
    from sentence_transformers.sentence_transformer.modules import Normalize

    from mixling.models.affine import affine_modules
    from mixling.models.hub_correction import HubCorrectionModule
    from mixling.models.language_transform import LanguageTransformModule

    modules = list(retriever.model)
    if isinstance(transform, ScoreCalibration):
        return modules
    if _is_raw(transform):
        # in the place of the modules that follow pooling
        modules = modules[: len(retriever.head_modules())]
    for part in parts_of(transform):
        if isinstance(part, AffineTransform):
            modules += affine_modules(part.matrix, part.bias)
        elif isinstance(part, LanguageTransform):
            module = LanguageTransformModule(
                part.languages, part.basis.shape[1], part.dimensions, part.role_offset is not None
            )
            modules += [module.set_tensors(**part.tensors()), Normalize()]
        else:
            modules.append(HubCorrectionModule.of(part))
    return modules


def _set_modules(retriever: Retriever, modules: list[Any]) -> None:
    """Replace the modules of a retriever's model, in place."""
    model = retriever.model
    for name in list(model._modules):
        del model._modules[name]
    for number, module in enumerate(modules):
        model.add_module(str(number), module)
