"""Mixling: train, measure and serve text retrievers that treat languages alike.

Every verb of the command line is a function here with the same name. Names are loaded when first used,
so that `import mixling` costs milliseconds.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "Corpus": "mixling.corpora.corpus",
    "load": "mixling.corpora.catalogue",
    "Schedule": "mixling.batches.schedule",
    "Retriever": "mixling.models.retriever",
    "Task": "mixling.evaluation.tasks",
    "Result": "mixling.evaluation.result",
    "encode": "mixling.encoding.shards",
    "evaluate": "mixling.reports.evaluate",
    "train": "mixling.training.train",
    "adapt": "mixling.training.adapt",
    "locate": "mixling.preparation.locate",
    "mine": "mixling.preparation.mine",
    "translate": "mixling.preparation.translate",
    "compare": "mixling.reports.compare",
    "leaderboard": "mixling.reports.leaderboard",
    "index": "mixling.searching.index",
    "serve": "mixling.serving.serve",
    "search": "mixling.searching.query",
    "export": "mixling.searching.export",
    "debias": "mixling.debiasing.debias",
    "HybridBatchSampler": "mixling.training.sampler",
    "pairs": "mixling.training.sampler",
    "study": "mixling.studies.study",
    "demo": "mixling.studies.demo",
    "doctor": "mixling.health",
    "MixlingError": "mixling.errors",
}

__all__ = [*_WHERE, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'mixling' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
