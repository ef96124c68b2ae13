"""A map of a run's model: fitted before it is trained, and kept with the run, or after."""

from __future__ import annotations

from pathlib import Path

from mixling.debiasing.debias import debias
from mixling.debiasing.transforms import AffineTransform
from mixling.models.affine import affine_modules
from mixling.models.retriever import Retriever
from mixling.training.base_model import load_base_model
from mixling.training.config import Config
from mixling.training.sentence_sources import SENTENCES

BITEXT = ["sib-200"]


def fit_before_training(settings: Config, out: Path) -> Config:
    """The settings with the model behind its map where it has one before training, an ordinary folder `out`/map that is made where
    it is not there yet."""
    m, folder = settings.model, out / "map"
    if m.transform is None or m.transform.when == "after":
        return settings
    if not folder.exists():
        fit = fitted_on(settings)
        debias(
            load_base_model(m),
            m.transform.method,
            fit,
            folder,
            languages=m.transform.languages,
            vector_cache=out / "map-vectors",
        )
    model = m.model_copy(
        update={
            "name": str(folder),
            "map": None,
            "pooling": None,
            "prompts": None,
            "similarity": None,
        }
    )
    return settings.model_copy(update={"model": model})


def fitted_on(settings: Config) -> list[str]:
    """The sources that a run's map is fitted on beside its own; none where it has no map."""
    m = settings.model.transform
    if m is None:
        return []
    if m.fit:
        return m.fit
    return BITEXT if m.method == "lsar" or m.when == "after" else [*BITEXT, "mlqa"]


def fit_after_training(settings: Config, retriever: Retriever, out: Path, precision: str) -> None:
    """Fit a map on a trained retriever and put it behind it, in place."""
    wanted = settings.model.transform
    assert wanted is not None
    own = {s.name: s.path or s.name for s in settings.data.sources}
    cut = [name for name in own if name.endswith(SENTENCES)]
    fit = wanted.fit or (BITEXT if wanted.method == "lsar" else [*BITEXT, *(cut or own)])
    found = debias(
        retriever,
        wanted.method,
        [own.get(name, name) for name in fit],
        languages=wanted.languages,
        vector_cache=out / "map-vectors",
        precision=precision,
    )
    assert isinstance(found, AffineTransform)
    for module in affine_modules(found.matrix, found.bias):
        retriever.model.append(module)
