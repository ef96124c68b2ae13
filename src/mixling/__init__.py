"""Mixling: train, measure and serve text retrievers that treat languages alike.

Every command of the command line is a function here with the same name. Names are loaded when they
are first used, so that `import mixling` takes milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that editors and type checkers know what is loaded later
    from mixling.auditing.audit import audit
    from mixling.batches.schedule import Schedule
    from mixling.corpora.catalog import load
    from mixling.corpora.corpus import Corpus
    from mixling.debiasing.debias import debias
    from mixling.encoding.shards import encode
    from mixling.errors import MixlingError
    from mixling.evaluation.result import EvaluationResult
    from mixling.evaluation.tasks import Task
    from mixling.health import doctor
    from mixling.models.retriever import Retriever
    from mixling.preparation.locate_answers import locate_answers
    from mixling.preparation.mine_negatives import mine_negatives
    from mixling.preparation.translate import translate
    from mixling.repairing.repair import repair
    from mixling.reports.compare import compare
    from mixling.reports.evaluate import evaluate
    from mixling.reports.leaderboard import leaderboard
    from mixling.searching.export import export
    from mixling.searching.index import index
    from mixling.searching.query import Searcher, search
    from mixling.serving.proxy import proxy
    from mixling.serving.serve import serve
    from mixling.studies.demo import demo
    from mixling.studies.study import study
    from mixling.text_export import texts
    from mixling.training.adapt_language import adapt_language
    from mixling.training.config import Config
    from mixling.training.sampler import HybridBatchSampler, training_pairs
    from mixling.training.train import train

__version__ = "0.1.0"

_MODULES = {
    "Corpus": "mixling.corpora.corpus",
    "load": "mixling.corpora.catalog",
    "Schedule": "mixling.batches.schedule",
    "Retriever": "mixling.models.retriever",
    "Task": "mixling.evaluation.tasks",
    "EvaluationResult": "mixling.evaluation.result",
    "encode": "mixling.encoding.shards",
    "evaluate": "mixling.reports.evaluate",
    "audit": "mixling.auditing.audit",
    "Config": "mixling.training.config",
    "train": "mixling.training.train",
    "adapt_language": "mixling.training.adapt_language",
    "locate_answers": "mixling.preparation.locate_answers",
    "mine_negatives": "mixling.preparation.mine_negatives",
    "translate": "mixling.preparation.translate",
    "repair": "mixling.repairing.repair",
    "compare": "mixling.reports.compare",
    "leaderboard": "mixling.reports.leaderboard",
    "texts": "mixling.text_export",
    "index": "mixling.searching.index",
    "proxy": "mixling.serving.proxy",
    "serve": "mixling.serving.serve",
    "Searcher": "mixling.searching.query",
    "search": "mixling.searching.query",
    "export": "mixling.searching.export",
    "debias": "mixling.debiasing.debias",
    "HybridBatchSampler": "mixling.training.sampler",
    "training_pairs": "mixling.training.sampler",
    "study": "mixling.studies.study",
    "demo": "mixling.studies.demo",
    "doctor": "mixling.health",
    "MixlingError": "mixling.errors",
}

__all__ = [
    "Config",
    "Corpus",
    "EvaluationResult",
    "HybridBatchSampler",
    "MixlingError",
    "Retriever",
    "Schedule",
    "Searcher",
    "Task",
    "__version__",
    "adapt_language",
    "audit",
    "compare",
    "debias",
    "demo",
    "doctor",
    "encode",
    "evaluate",
    "export",
    "index",
    "leaderboard",
    "load",
    "locate_answers",
    "mine_negatives",
    "proxy",
    "repair",
    "search",
    "serve",
    "study",
    "texts",
    "train",
    "training_pairs",
    "translate",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'mixling' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
