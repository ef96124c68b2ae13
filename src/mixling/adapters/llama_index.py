"""LlamaIndex (llama-index-core): a retriever over a store or a server, and embeddings with the right prompts.

from mixling.adapters.llama_index import MixlingRetriever
MixlingRetriever(Remote("http://127.0.0.1:8080"), k=5).retrieve("Nani alijenga daraja?")
"""

from __future__ import annotations

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode


class MixlingRetriever(BaseRetriever):
    """source: a Searcher (a store here) or a Remote (a server); k: passages; options: of the search."""

    def __init__(self, source: Any, k: int = 10, **options: Any):
        self.source, self.k, self.options = source, k, options
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        rows = self.source.search(query_bundle.query_str, self.k, **self.options)
        return [
            NodeWithScore(
                node=TextNode(
                    id_=r["id"],
                    text=r["text"],
                    metadata={k: r[k] for k in ("document", "title", "address", "language")},
                ),
                score=float(r["score"]),
            )
            for r in rows
        ]


class MixlingEmbedding(BaseEmbedding):
    """encoder: a Retriever (a model here) or a Remote. Questions and passages each get their prompt."""

    _encoder: Any = PrivateAttr()

    def __init__(self, encoder: Any, **more: Any):
        super().__init__(**more)
        self._encoder = encoder

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._encoder.encode([query], "query")[0].tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._encoder.encode([text], "passage")[0].tolist()

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._encoder.encode(texts, "passage").tolist()
