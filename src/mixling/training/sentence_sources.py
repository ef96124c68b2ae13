"""Sources that are to be sentences, located before a run and kept with it."""

from __future__ import annotations

from pathlib import Path

from mixling.preparation.locate_answers import locate_answers
from mixling.training.base_model import load_base_model
from mixling.training.config import Config, SourceConfig
from mixling.training.prepare import corpus_of

SENTENCES = "-sentences"  # what a located source's name ends with


def locate_sentences(settings: Config, out: Path) -> Config:
    """The settings with ordinary folders `out`/NAME-sentences for sources with `sentences`, made where they are not there yet."""
    sources = []
    for s in settings.data.sources:
        if s.sentences:
            name = s.name + SENTENCES
            if not (out / name).exists():
                locate_answers(
                    load_base_model(settings.model),
                    corpus_of(s, settings.data.skip_bad),
                    out / name,
                )
            s = SourceConfig(name=name, path=str(out / name), weight=s.weight)
        sources.append(s)
    return settings.model_copy(
        update={"data": settings.data.model_copy(update={"sources": sources})}
    )
