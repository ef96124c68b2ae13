"""LangChain (langchain-core): a retriever over a store or a server, and embeddings with the right prompts.

from mixling.adapters.langchain import MixlingRetriever
MixlingRetriever(source=Remote("http://127.0.0.1:8080"), k=5).invoke("Nani alijenga daraja?")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import Field


class MixlingRetriever(BaseRetriever):
    """source: a Searcher (a store here) or a Remote (a server); k: passages; options: of the search, for instance
    {"order": "centered", "languages": ["sw"]}."""

    source: Any
    k: int = 10
    options: Mapping[str, Any] = Field(default_factory=dict)

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        rows = self.source.search(query, self.k, **self.options)
        return [
            Document(
                id=r["id"],
                page_content=r["text"],
                metadata={k: v for k, v in r.items() if k not in ("id", "text")},
            )
            for r in rows
        ]


class MixlingEmbeddings(Embeddings):
    """encoder: a Retriever (a model here) or a Remote. Questions and passages each get their prompt."""

    def __init__(self, encoder: Any):
        self.encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of passages."""
        return self.encoder.encode(texts, "passage").tolist()

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self.encoder.encode([text], "query")[0].tolist()
