"""What a configuration trains on: its corpora, their schedule, and the texts of its batches."""

from __future__ import annotations

from mixling.batches.schedule import Schedule
from mixling.batches.translation_groups import translation_groups
from mixling.corpora.catalog import load
from mixling.corpora.corpus import Corpus
from mixling.errors import MixlingError
from mixling.training.config import Config, SourceConfig
from mixling.training.pairs import PairTexts


def corpus_of(source: SourceConfig, skip_bad: bool) -> Corpus:
    """The corpus that a configuration names."""
    return load(
        source.name,
        source.split,
        path=source.path,
        languages=source.languages,
        query_languages=source.query_languages,
        language=source.language,
        hub_name=source.hub,
        columns=source.columns,
        skip_bad=skip_bad,
    )


def prepare(config: Config) -> tuple[list[Corpus], Schedule, PairTexts]:
    """Corpora, schedule and texts of a configuration."""
    for s in config.data.sources:
        if s.sentences:
            raise MixlingError(
                f"source '{s.name}' is cut into sentences when training begins; to see its batches before, write it with "
                f"`mixling locate-answers MODEL {s.name} --out DIR` and name the folder: "
                f'{{ name = "{s.name}-sentences", path = "DIR" }}'
            )
    corpora = [corpus_of(s, config.data.skip_bad) for s in config.data.sources]
    b = config.batches
    if b.negatives and not any(c.negatives.num_rows for c in corpora):
        raise MixlingError(
            f"batches.negatives is {b.negatives}, but no source has any: {', '.join(c.name for c in corpora)}; "
            "`mixling mine-negatives` writes a source with hard negatives, and one with `sentences = true` has some"
        )
    schedule = Schedule(
        [translation_groups(c) for c in corpora],
        b.strategy,
        alpha=b.alpha,
        size=b.size,
        seed=b.seed,
        language=b.language,
        languages=b.languages,
        corpora=b.corpora,
        random_interleave=b.random_interleave,
        weights=[s.weight for s in config.data.sources],
    )
    return (
        corpora,
        schedule,
        PairTexts(
            corpora,
            schedule,
            config.data.window if config.data.passage == "window" else None,
            b.negatives,
            b.negatives_in,
            b.every_language,
            config.data.titles,
        ),
    )
