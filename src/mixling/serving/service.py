"""Answers requests for passages, documents and embeddings; `app` puts this behind HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from mixling.searching.hits import SearchHit, highlight_hits, hit_sentences, span_texts
from mixling.searching.query import Searcher
from mixling.serving.batching import BULK, Batcher
from mixling.serving.config import ServerConfig
from mixling.serving.embeddings import (
    EmbeddingRequest,
    check_dimensions,
    embeddings_json,
    input_texts,
)
from mixling.serving.requests import SearchRequest

SENTENCE_BATCH = 1024  # sentences that are encoded together to highlight those that answer


class SearchService:
    """A store and its model, whose encoder the requests share.

    Args:
        searcher: The store and its model.
        config: The limits.

    Attributes:
        model: The name of the model, without its path.
        start_time: When the service was made, in seconds since 1970.
        ready: Whether model and store are warm.
    """

    def __init__(self, searcher: Searcher, config: ServerConfig):
        self.searcher = searcher
        self.batcher = Batcher(
            searcher.retriever,
            config.batch_size,
            config.max_waiting,
            config.precision,
            config.embeddings_max_waiting,
        )
        self.model = Path(searcher.store.info["model"]).name
        self.start_time = int(time.time())
        self.ready = False

    @contextlib.asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Warm up before the first request, and answer what waits before the end."""
        self.batcher.start()
        vector = (await self.batcher(["warm up"], "query"))[0]
        await asyncio.to_thread(self.searcher.store.nearest, vector, 1, None)
        self.ready = True
        yield
        self.ready = False
        await self.batcher.stop()

    def info(self) -> dict[str, Any]:
        """Return what the store holds, and the name of the model that made it."""
        info = self.searcher.store.info
        return {k: info[k] for k in ("passages", "languages", "dimensions")} | {"model": self.model}

    async def search(self, request: SearchRequest) -> dict[str, Any]:
        """Find the best passages for a query."""
        start = time.perf_counter()
        queries = request.query
        query_language = self.searcher.query_language(queries, request.query_language)
        vectors = await self.batcher(queries, "query")
        hits = await asyncio.to_thread(
            self.searcher.search_vectors,
            queries,
            vectors,
            request.k,
            languages=request.languages,
            mode=request.mode,
            order=request.order,
            query_language=query_language,
            quotas=request.quotas,
            highlight=False,
        )
        if request.highlight:
            hits = await self._highlight(hits, vectors)
        return {
            "results": [hit.to_dict() for hit in hits],
            "query_language": query_language,
            "ms": round(1000 * (time.perf_counter() - start), 1),
        }

    async def document(self, document: str) -> dict[str, Any] | None:
        """Return a document's passages in their order; None where the store lacks the document."""
        rows = (await asyncio.to_thread(self.searcher.store.document, document)).to_pylist()
        if not rows:
            return None
        first = rows[0]
        return {
            **{name: first[name] for name in ("document", "title", "address", "language")},
            "metadata": json.loads(first["metadata"] or "{}"),
            "passages": [
                {name: row[name] for name in ("part", "begin", "end", "text")} for row in rows
            ],
        }

    async def embed(self, request: EmbeddingRequest) -> bytes:
        """Return the vectors of texts as JSON in OpenAI's form."""
        retriever = self.searcher.retriever
        texts = input_texts(request.input)
        check_dimensions(request.dimensions, retriever.dimensions)
        role = "passage" if request.input_type == "document" else request.input_type
        vectors = await self.batcher(texts, role, BULK)

        def write() -> bytes:
            token_counts = [len(tokens) for tokens in retriever.tokenize(texts, role)]
            return embeddings_json(
                vectors, request.encoding_format, self.model, token_counts, retriever.max_length
            )

        return await asyncio.to_thread(write)

    async def _highlight(self, hits: Sequence[SearchHit], vectors: np.ndarray) -> list[SearchHit]:
        """Set the nearest sentence of each hit.

        The sentences are encoded as other requests' texts are, so that a client who has gone keeps
        nobody waiting.

        Args:
            hits: The hits.
            vectors: The vectors of the query and its translations, `[n_queries, dim]`.
        """
        spans = await asyncio.to_thread(hit_sentences, hits)
        texts = span_texts(hits, spans)
        batches = [
            await self.batcher(texts[i : i + SENTENCE_BATCH], "passage", BULK)
            for i in range(0, len(texts), SENTENCE_BATCH)
        ]
        similarities = np.zeros(0)
        if batches:
            similarities = np.concatenate(batches) @ self.searcher.query_vector(vectors)
        return highlight_hits(hits, spans, similarities)
