"""A model behind a map that is fitted before it is trained, kept with the run."""

from __future__ import annotations

from pathlib import Path

from mixling.debiasing.debias import debias
from mixling.models.retriever import Retriever
from mixling.training.config import Config


def behind_map(settings: Config, out: Path) -> Config:
    """The settings with the model behind its map, an ordinary folder `out`/map that is made where it is not there yet."""
    m, folder = settings.model, out / "map"
    assert m.map is not None
    if not folder.exists():
        base = Retriever(m.name, pooling=m.pooling, prompts=m.prompts, similarity=m.similarity)
        debias(base, "map", m.map.fit, folder, languages=m.map.languages, keep=out / "map-vectors")
    model = m.model_copy(
        update={"name": str(folder), "map": None, "pooling": None, "prompts": None, "similarity": None}
    )
    return settings.model_copy(update={"model": model})
