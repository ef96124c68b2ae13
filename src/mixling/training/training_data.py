"""The data of a configuration: its corpora, the schedule of its batches, and their texts."""

from __future__ import annotations

from dataclasses import dataclass

from mixling.batches.schedule import Schedule
from mixling.batches.translation_groups import translation_groups
from mixling.corpora.catalog import load
from mixling.corpora.corpus import Corpus
from mixling.errors import MixlingError
from mixling.training.config import Config, SourceConfig
from mixling.training.exclude import exclude_tasks
from mixling.training.pairs import PairTexts


@dataclass(frozen=True)
class TrainingData:
    """The training data of a configuration.

    Attributes:
        corpora: The corpora of its sources.
        schedule: Which translation groups and languages meet in each batch.
        texts: The texts of a planned batch.
    """

    corpora: list[Corpus]
    schedule: Schedule
    texts: PairTexts


def load_source(source: SourceConfig, skip_bad: bool) -> Corpus:
    """Load the corpus of a source.

    Args:
        source: The source's table of the configuration.
        skip_bad: Skip and count bad rows instead of refusing them.

    Raises:
        MixlingError: The source cannot be found or read.
    """
    return load(
        source.name,
        source.split,
        path=source.path,
        languages=source.languages,
        query_languages=source.query_languages,
        language=source.language,
        hub_name=source.hub,
        columns=source.columns,
        revision=source.revision,
        skip_bad=skip_bad,
        for_training=True,
    )


def load_training_data(config: Config) -> TrainingData:
    """Load the corpora of a configuration and plan its batches.

    Raises:
        MixlingError: A source cannot be read, is still to be cut into sentences, has nothing left
            beside `data.exclude`, or has no hard negatives where the configuration wants some.
    """
    for source in config.data.sources:
        if source.sentences:
            raise MixlingError(
                f"source '{source.name}' is cut into sentences when training begins, so its "
                "batches are not known yet. To see them, write the source with `mixling "
                f"locate-answers MODEL {source.name} --out DIR`, and name the folder: {{ name = "
                f'"{source.name}-sentences", path = "DIR" }}'
            )
    loaded = [load_source(s, config.data.skip_bad) for s in config.data.sources]
    corpora = exclude_tasks(loaded, config.data.exclude, config.data.skip_bad)
    batches = config.batches
    if batches.negatives and not any(c.negatives.num_rows for c in corpora):
        names = ", ".join(c.name for c in corpora)
        raise MixlingError(
            f"batches.negatives is {batches.negatives}, but no source has hard negatives: "
            f"{names}. `mixling mine-negatives` writes a source with hard negatives, and a "
            "source with `sentences = true` has some."
        )
    schedule = Schedule(
        [translation_groups(c) for c in corpora],
        batches.strategy,
        alpha=batches.alpha,
        size=batches.size,
        seed=batches.seed,
        language=batches.language,
        languages=batches.languages,
        corpora=batches.corpora,
        random_interleave=batches.random_interleave,
        weights=[s.weight for s in config.data.sources],
        pairs=batches.pairs,
        pivots=batches.pivots,
        pair_languages=batches.pair_languages,
        source_types=[s.batch_type for s in config.data.sources],
    )
    texts = PairTexts(
        corpora,
        schedule,
        config.data.window if config.data.passage == "window" else None,
        batches.negatives,
        batches.negatives_in,
        batches.every_language,
        config.data.titles,
    )
    return TrainingData(corpora, schedule, texts)
