"""Adapts a store or a server to LangChain: a retriever, and embeddings with prompts.

```python
from mixling.adapters.langchain import MixlingRetriever
from mixling.adapters.remote import Remote

retriever = MixlingRetriever(source=Remote("http://127.0.0.1:8080"), k=5)
retriever.invoke("Nani alijenga daraja?")
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever

from mixling.adapters.sources import Encoder, SearchSource
from mixling.adapters.transformed import read_transform, transform_lists
from mixling.searching.fairness import Order
from mixling.searching.options import Mode
from mixling.transforms.files import VectorTransform


class MixlingRetriever(BaseRetriever):
    """A retriever over a store or a server.

    Example:
        ```python
        MixlingRetriever(source=Searcher("index"), k=5, order="centered").invoke("Who built it?")
        ```

    Args:
        source: A `Searcher` (a store here) or a `Remote` (a server).
        k: How many passages.
        languages: Search passages in these languages only.
        mode: "dense", "text" or "both".
        order: "query-language-first", "centered", "round-robin" or "score".
        query_language: Language of the queries; identified if not given.
        quotas: At most this many passages of each of these languages.
    """

    source: Any
    k: int = 10
    languages: Sequence[str] | None = None
    mode: Mode = "dense"
    order: Order = "query-language-first"
    query_language: str | None = None
    quotas: Mapping[str, int] | None = None

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        source: SearchSource = self.source
        hits = source.search(
            query,
            self.k,
            languages=self.languages,
            mode=self.mode,
            order=self.order,
            query_language=self.query_language,
            quotas=self.quotas,
        )
        documents = []
        for hit in hits:
            metadata = hit.to_dict()
            passage_id, text = metadata.pop("id"), metadata.pop("text")
            documents.append(Document(id=passage_id, page_content=text, metadata=metadata))
        return documents


class MixlingEmbeddings(Embeddings):
    """Embeddings of a model; queries and passages each get their prompt.

    Args:
        encoder: A `Retriever` (a model here) or a `Remote` (a server).
    """

    def __init__(self, encoder: Encoder):
        self.encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of passages."""
        vectors: list[list[float]] = self.encoder.encode(texts, "passage").tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        vector: list[float] = self.encoder.encode([text], "query")[0].tolist()
        return vector


class TransformedEmbeddings(Embeddings):
    """Embeddings of any LangChain model, behind a transform.

    Example:
        ```python
        TransformedEmbeddings(OpenAIEmbeddings(model="text-embedding-3-small"), "fair")
        ```

    Args:
        inner: The embeddings that the transform was fitted for.
        transform: "balanced", a folder that `mixling debias` wrote, or the transform itself.

    Raises:
        MixlingError: The transform cannot be read or, when texts are embedded, does not fit.
    """

    def __init__(self, inner: Embeddings, transform: str | VectorTransform):
        self.inner, self.transform = inner, read_transform(transform)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of passages."""
        vectors = self.inner.embed_documents(texts)
        return transform_lists(self.transform, vectors, texts, "passage")

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        vectors = [self.inner.embed_query(text)]
        return transform_lists(self.transform, vectors, [text], "query")[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of passages."""
        vectors = await self.inner.aembed_documents(texts)
        return transform_lists(self.transform, vectors, texts, "passage")

    async def aembed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        vectors = [await self.inner.aembed_query(text)]
        return transform_lists(self.transform, vectors, [text], "query")[0]
