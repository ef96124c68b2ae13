"""Sources that are cut into sentences before training; the results are kept with the run."""

from __future__ import annotations

import json
from pathlib import Path

from mixling.corpora.files import write_text
from mixling.disk import read_object
from mixling.preparation.locate_answers import locate_answers
from mixling.training.base_model import load_base_model
from mixling.training.config import Config, SourceConfig
from mixling.training.exclude import exclude_tasks
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
                loaded = load_source(source, config.data.skip_bad)
                # here as well, because a sentence alone may be too short to be found in a task
                [corpus] = exclude_tasks([loaded], config.data.exclude, config.data.skip_bad)
                write_text(_left_out_file(out, name), json.dumps(dict(corpus.left_out)))
                locate_answers(load_base_model(config.model), corpus, out / name)
            source = SourceConfig(
                name=name,
                path=str(out / name),
                weight=source.weight,
                batch_type=source.batch_type,
            )
        sources.append(source)
    data = config.data.model_copy(update={"sources": sources})
    return config.model_copy(update={"data": data})


def left_out_before(out: Path, name: str) -> dict[str, int]:
    """Return what was left out of a source before it was cut into sentences, by the reason.

    Args:
        out: The folder that `locate_sentences` wrote to.
        name: The source's name after that; one that was not cut has nothing.
    """
    file = _left_out_file(out, name)
    return read_object(file) if file.exists() else {}


def _left_out_file(out: Path, name: str) -> Path:
    return out / f"{name}.left-out.json"
