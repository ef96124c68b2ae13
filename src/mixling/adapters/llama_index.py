"""Adapts a store or a server to LlamaIndex: a retriever, and embeddings with prompts.

```python
from mixling.adapters.llama_index import MixlingRetriever
from mixling.adapters.remote import Remote

MixlingRetriever(Remote("http://127.0.0.1:8080"), k=5).retrieve("Nani alijenga daraja?")
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from mixling.adapters.sources import Encoder, SearchSource
from mixling.adapters.transformed import read_transform, transform_lists
from mixling.searching.fairness import Order
from mixling.searching.options import Mode
from mixling.transforms.files import VectorTransform


class MixlingRetriever(BaseRetriever):
    """A retriever over a store or a server.

    Example:
        ```python
        MixlingRetriever(Searcher("index"), k=5, order="centered").retrieve("Who built it?")
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

    def __init__(
        self,
        source: SearchSource,
        k: int = 10,
        *,
        languages: Sequence[str] | None = None,
        mode: Mode = "dense",
        order: Order = "query-language-first",
        query_language: str | None = None,
        quotas: Mapping[str, int] | None = None,
    ):
        self.source, self.k = source, k
        self.languages, self.mode, self.order = languages, mode, order
        self.query_language, self.quotas = query_language, quotas
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self.source.search(
            query_bundle.query_str,
            self.k,
            languages=self.languages,
            mode=self.mode,
            order=self.order,
            query_language=self.query_language,
            quotas=self.quotas,
        )
        return [
            NodeWithScore(
                node=TextNode(
                    id_=hit.id,
                    text=hit.text,
                    metadata={
                        "document": hit.document,
                        "title": hit.title,
                        "address": hit.address,
                        "language": hit.language,
                    },
                ),
                score=float(hit.score),
            )
            for hit in hits
        ]


class MixlingEmbedding(BaseEmbedding):
    """Embeddings of a model; queries and passages each get their prompt.

    Args:
        encoder: A `Retriever` (a model here) or a `Remote` (a server).
        **kwargs: The fields of LlamaIndex's `BaseEmbedding`.
    """

    _encoder: Encoder = PrivateAttr()

    def __init__(self, encoder: Encoder, **kwargs: Any):
        super().__init__(**kwargs)
        self._encoder = encoder

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._encoder.encode([query], "query")[0].tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._encoder.encode(texts, "passage").tolist()
        return vectors


class TransformedEmbedding(BaseEmbedding):
    """An embedding of any LlamaIndex model, behind a transform.

    Example:
        ```python
        TransformedEmbedding(OpenAIEmbedding(model="text-embedding-3-small"), "fair")
        ```

    Args:
        inner: The embedding that the transform was fitted for.
        transform: "balanced", a folder that `mixling debias` wrote, or the transform itself.
        **kwargs: The fields of LlamaIndex's `BaseEmbedding`; name and batch size are those of
            `inner` unless they are given.

    Raises:
        MixlingError: The transform cannot be read or, when texts are embedded, does not fit.
    """

    _inner: BaseEmbedding = PrivateAttr()
    _transform: VectorTransform = PrivateAttr()

    def __init__(
        self,
        inner: BaseEmbedding,
        transform: str | VectorTransform,
        **kwargs: Any,
    ):
        fields = {"model_name": inner.model_name, "embed_batch_size": inner.embed_batch_size}
        super().__init__(**{**fields, **kwargs})
        self._inner, self._transform = inner, read_transform(transform)

    def _get_query_embedding(self, query: str) -> list[float]:
        vectors = [self._inner.get_query_embedding(query)]
        return transform_lists(self._transform, vectors, [query], "query")[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        vectors = [await self._inner.aget_query_embedding(query)]
        return transform_lists(self._transform, vectors, [query], "query")[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors = self._inner.get_text_embedding_batch(texts)
        return transform_lists(self._transform, vectors, texts, "passage")

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors = await self._inner.aget_text_embedding_batch(texts)
        return transform_lists(self._transform, vectors, texts, "passage")
