"""Holds the options of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mixling.searching.fairness import Order

Mode = Literal["dense", "text", "both"]
MODES: tuple[Mode, ...] = get_args(Mode)
RERANK_DEPTH = 100  # candidates that a reranker reads


@dataclass(frozen=True)
class SearchOptions:
    """The options of a search; `Searcher.search` describes them."""

    languages: Sequence[str] | None = None
    mode: Mode = "dense"
    order: Order = "query-language-first"
    query_language: str | None = None
    quotas: Mapping[str, int] | None = None
    weights: tuple[float, float] = (1.0, 1.0)
    highlight: bool = True
    rerank_depth: int = RERANK_DEPTH
