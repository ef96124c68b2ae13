"""Declares the interface of a store or a server that the adapters use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from mixling.searching.fairness import Order
from mixling.searching.hits import SearchHit
from mixling.searching.options import Mode


class SearchSource(Protocol):
    """Finds passages: a `Searcher` (a store here) or a `Remote` (a server)."""

    def search(
        self,
        query: str | Sequence[str],
        k: int = ...,
        *,
        languages: Sequence[str] | None = ...,
        mode: Mode = ...,
        order: Order = ...,
        query_language: str | None = ...,
        quotas: Mapping[str, int] | None = ...,
    ) -> list[SearchHit]:
        """Find the best k passages for a query; see `Searcher.search`."""
        ...


class Encoder(Protocol):
    """Encodes texts: a `Retriever` (a model here) or a `Remote` (a server)."""

    def encode(self, texts: Sequence[str], role: str | None = ...) -> np.ndarray:
        """Encode texts in a role ("query" or "passage"), float32 `[n_texts, dim]`."""
        ...
