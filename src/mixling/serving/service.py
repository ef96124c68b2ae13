"""Answers requests for passages, documents and embeddings; `app` puts this behind HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from mixling.errors import MixlingError
from mixling.models.encoder import ExternalEncoder
from mixling.models.reranker import RerankerError
from mixling.searching.answerable import has_good_answer
from mixling.searching.hits import SearchHit
from mixling.searching.query import Searcher
from mixling.serving.batching import BULK, Batcher
from mixling.serving.config import ServerConfig
from mixling.serving.embeddings import (
    EmbeddingRequest,
    check_dimensions,
    embeddings_json,
    input_texts,
)
from mixling.serving.errors import RequestError
from mixling.serving.requests import SearchRequest


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
        # a service reranks several searches at once, and a model here takes all cores for one
        self._reranks = asyncio.Semaphore(getattr(searcher.reranker, "at_once", 1))

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
        info, reranker = self.searcher.store.info, self.searcher.reranker
        return {
            **{k: info[k] for k in ("passages", "languages", "dimensions")},
            "model": self.model,
            "reranker": None if reranker is None else Path(reranker.name).name,
        }

    async def search(self, request: SearchRequest) -> dict[str, Any]:
        """Find the best passages for a query."""
        start = time.perf_counter()
        queries = request.query
        query_language = self.searcher.query_language(queries, request.query_language)
        tags = [query_language] if len(queries) == 1 else None  # others are translations
        depth = self._rerank_depth(request)
        vectors = await self.batcher(queries, "query", languages=tags)
        find = self._rerank if depth else asyncio.to_thread
        hits = await find(
            self.searcher.search_vectors,
            queries,
            vectors,
            request.k,
            languages=request.languages,
            mode=request.mode,
            order=request.order,
            query_language=query_language,
            quotas=request.quotas,
            highlight=request.highlight,
            rerank_depth=depth,
        )
        return {
            "results": [hit.to_dict() for hit in hits],
            "query_language": query_language,
            "reranked": bool(depth),
            "good_answer": has_good_answer(hits),
            "ms": round(1000 * (time.perf_counter() - start), 1),
        }

    def _rerank_depth(self, request: SearchRequest) -> int:
        """Return how many candidates a request has reranked, 0 for none."""
        if self.searcher.reranker is None:
            if request.rerank:
                raise MixlingError(
                    "rerank is true, but this server has no reranker. Start it with mixling "
                    "serve --rerank MODEL, or leave rerank out."
                )
            return 0
        return 0 if request.rerank is False else request.rerank_depth

    async def _rerank(
        self, search: Callable[..., list[SearchHit]], *arguments: Any, **options: Any
    ) -> list[SearchHit]:
        """Run searches that rerank one at a time, since each takes all cores.

        A client that has gone gives up its place; what is being computed for it ends first.
        """
        await self._reranks.acquire()
        job = asyncio.ensure_future(asyncio.to_thread(search, *arguments, **options))
        job.add_done_callback(self._end_rerank)
        try:
            return await asyncio.shield(job)
        except RerankerError as error:  # no mistake of the client's
            raise RequestError(str(error), status=502) from None

    def _end_rerank(self, job: asyncio.Future[Any]) -> None:
        """Let the next search rerank; an error that nobody waits for any more is dropped."""
        self._reranks.release()
        if not job.cancelled():
            job.exception()

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
            token_counts = (
                retriever.count_tokens([retriever.prompt(role) + x for x in texts])
                if isinstance(retriever, ExternalEncoder)
                else [len(tokens) for tokens in retriever.tokenize(texts, role)]
            )
            return embeddings_json(
                vectors, request.encoding_format, self.model, token_counts, retriever.max_length
            )

        return await asyncio.to_thread(write)
