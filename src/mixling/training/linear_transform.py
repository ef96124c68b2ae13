"""The linear transform of a run's model.

Fitted before training and kept with the run, or fitted after.
"""

from __future__ import annotations

from pathlib import Path

from mixling.debiasing.debias import debias
from mixling.models.affine import affine_modules
from mixling.models.precision import Precision
from mixling.models.retriever import Retriever
from mixling.training.base_model import load_base_model
from mixling.training.config import Config
from mixling.training.sentence_sources import SENTENCES
from mixling.transforms.transforms import AffineTransform

BITEXT = ["sib-200"]


def fit_before_training(config: Config, out: Path) -> Config:
    """Replace the model by one with a transform, if the transform is fitted before training.

    Args:
        config: The run's configuration.
        out: Where the model folder `transform` is written. If it exists, it is used.

    Returns:
        The configuration with that folder as its model.
    """
    model, folder = config.model, out / "transform"
    options = model.transform
    if options is None or options.when == "after":
        return config
    if not folder.exists():
        debias(
            load_base_model(model),
            options.method,
            fit_sources(config),
            folder,
            languages=options.languages,
            vector_cache=out / "transform-vectors",
            precision="fp32",
        )
    # The folder has the model's pooling, prompts and similarity, and the transform.
    ordinary = {
        "name": str(folder),
        "transform": None,
        "pooling": None,
        "prompts": None,
        "similarity": None,
    }
    return config.model_copy(update={"model": model.model_copy(update=ordinary)})


def fit_sources(config: Config) -> list[str]:
    """Return the sources that a run's transform is fitted on beside the run's own sources."""
    options = config.model.transform
    if options is None:
        return []
    if options.fit:
        return options.fit
    return BITEXT if options.method == "lsar" or options.when == "after" else [*BITEXT, "mlqa"]


def fit_after_training(
    config: Config, retriever: Retriever, out: Path, precision: Precision
) -> None:
    """Fit a transform on a trained model and append it, in place.

    Args:
        config: The configuration, with prepared inputs.
        retriever: The trained model.
        out: The run's folder, where vectors are cached.
        precision: Number format of encoding, "fp32" or "bf16".
    """
    options = config.model.transform
    assert options is not None
    paths = {s.name: s.path or s.name for s in config.data.sources}
    sentences = [name for name in paths if name.endswith(SENTENCES)]
    if options.fit:
        fit = options.fit
    else:
        fit = BITEXT if options.method == "lsar" else [*BITEXT, *(sentences or paths)]
    transform = debias(
        retriever,
        options.method,
        [paths.get(name, name) for name in fit],
        languages=options.languages,
        vector_cache=out / "transform-vectors",
        precision=precision,
    )
    assert isinstance(transform, AffineTransform)
    for module in affine_modules(transform.matrix, transform.bias):
        retriever.model.append(module)
