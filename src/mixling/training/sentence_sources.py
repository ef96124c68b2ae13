"""Sources that are cut into sentences before training; the results are kept with the run."""

from __future__ import annotations

from pathlib import Path

from mixling.preparation.locate_answers import locate_answers
from mixling.training.base_model import load_base_model
from mixling.training.config import Config, SourceConfig
from mixling.training.training_data import load_source

SENTENCES = "-sentences"  # the end of such a source's name


def locate_sentences(config: Config, out: Path) -> Config:
    """Replace each source that has `sentences` by a folder of its sentences.

    Args:
        config: The run's configuration.
        out: Where the folders NAME-sentences are written. Those that exist are used.

    Returns:
        The configuration with ordinary sources.
    """
    sources = []
    for source in config.data.sources:
        if source.sentences:
            name = source.name + SENTENCES
            if not (out / name).exists():
                corpus = load_source(source, config.data.skip_bad)
                locate_answers(load_base_model(config.model), corpus, out / name)
            source = SourceConfig(name=name, path=str(out / name), weight=source.weight)
        sources.append(source)
    data = config.data.model_copy(update={"sources": sources})
    return config.model_copy(update={"data": data})
