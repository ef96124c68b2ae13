"""Searches a store: finds the passages that answer a query, in any language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from mixling.corpora.files import replace_surrogates
from mixling.corpora.languages import base_language, language_tag, nearest_language
from mixling.encoding.vectors import normalize_for_similarity
from mixling.errors import MixlingError, check_at_least, choose
from mixling.models.encoders import AnyEncoder, is_encoder, load_encoder
from mixling.models.kernel_caches import limit_kernel_caches
from mixling.models.reranker import load_reranker
from mixling.searching.answerable import centered_sample, language_centers, standard_scores
from mixling.searching.fairness import Order, shrunk
from mixling.searching.fusion import rank_by_both, rank_by_text
from mixling.searching.hits import SearchHit
from mixling.searching.languages import LanguageIdentifier
from mixling.searching.options import MODES, RERANK_DEPTH, Mode, SearchOptions
from mixling.searching.ranking import FUSION_DEPTH, PassageSearch, rank_by_vector
from mixling.searching.rerank import rerank_search
from mixling.searching.sentences import highlight
from mixling.searching.store_model import check_made_by, load_store_model, model_options
from mixling.searching.stores import open_searchable_store

# The query's language is one that the store lacks where the identifier is at least this sure.
MIN_PROBABILITY_OUTSIDE = 0.5
# Spoken varieties that the identifier confuses with the written language.
WRITTEN_AS = {"arz": "ar", "ary": "ar", "wuu": "zh", "yue": "zh"}


class Searcher:
    """A store and the model that made it, ready for queries.

    Example:
        ```python
        searcher = mixling.Searcher("index")
        for hit in searcher.search("Who built the bridge?", k=5):
            print(hit.language, hit.title, hit.text)
        ```

    Args:
        store: A folder, or milvus://host:port/name.
        model: The model, or where its folder is now; by default the model that the store names.
        trust_remote_code: Run code that comes with the model; see `Retriever`.
        task_description: What queries are for, for a model whose prompt is an instruction. By
            default as when the store was made.
        reranker: What reranks the candidates of each search, as `load_reranker` takes it: a
            cross-encoder, a service, or a function of a query and passages.

    Raises:
        MixlingError: There is no store, its indexing did not finish, the model cannot be loaded, or
            another model made the store.
    """

    def __init__(
        self,
        store: str,
        model: str | AnyEncoder | None = None,
        trust_remote_code: bool = False,
        task_description: str | None = None,
        reranker: Any = None,
    ):
        limit_kernel_caches()
        self.store = open_searchable_store(store)
        info: Mapping[str, Any] = self.store.info
        options = model_options(store, info)
        if task_description is not None:
            options["task_description"] = task_description
            # the store holds passages, which do not depend on the prompt of queries
            info = {**info, "prompts": {"passage": info["prompts"].get("passage", "")}}
        if isinstance(model, str) or model is None:
            self.retriever: AnyEncoder = load_store_model(
                store, info, model, trust_remote_code, options
            )
        else:  # an encoder, or what one is made of
            known = {} if is_encoder(model) else options
            self.retriever = load_encoder(model, trust_remote_code=trust_remote_code, **known)
            check_made_by(store, self.retriever, info)
        self.address = store
        self.reranker = None if reranker is None else load_reranker(reranker, trust_remote_code)
        self._read_info()

    def _read_info(self) -> None:
        """Read the languages of the store and their mean vectors."""
        self._info = self.store.info
        if "means" not in self._info:
            raise MixlingError(
                f"{self.address}: indexing was not finished. Run the same `mixling index` again "
                "to continue."
            )
        counts = self._info.get("languages")
        counts = counts if isinstance(counts, dict) else {}
        self.means = shrunk(self._info["means"], counts)
        self.centers = language_centers(self._info["means"], counts)
        for name in ("identifiers", "sample"):
            self.__dict__.pop(name, None)

    @cached_property
    def identifiers(self) -> tuple[LanguageIdentifier, LanguageIdentifier]:
        """Identifiers of a query's language: among all languages, and among the store's."""
        return LanguageIdentifier(), LanguageIdentifier(list(self.means))

    @cached_property
    def sample(self) -> np.ndarray | None:
        """Vectors of passages less the means of their languages; see `centered_sample`."""
        return centered_sample(self.store, self.centers)

    def search(
        self,
        query: str | Sequence[str],
        k: int = 10,
        *,
        languages: Sequence[str] | None = None,
        mode: Mode = "dense",
        order: Order = "query-language-first",
        query_language: str | None = None,
        quotas: Mapping[str, int] | None = None,
        weights: tuple[float, float] = (1.0, 1.0),
        highlight: bool = True,
        rerank_depth: int = RERANK_DEPTH,
    ) -> list[SearchHit]:
        """Find the best k passages for a query.

        Args:
            query: The query, or the query and its translations, whose vectors are averaged.
            k: How many passages.
            languages: Search passages in these languages only.
            mode: "dense" (vectors), "text" (full text) or "both" (the sum of the two scores; see
                `mixling.searching.fusion`).
            order: How passages of several languages are ordered: "query-language-first" (among
                equally good passages), "centered", "round-robin" or "score"; see
                `mixling.searching.fairness`.
            query_language: Language of the query; identified if not given.
            quotas: At most this many passages of each of these languages.
            weights: Weights of vectors and full text in mode "both".
            highlight: Name the sentence of each passage that is nearest to the query; see
                `mixling.searching.sentences`. Nothing is encoded for it.
            rerank_depth: Candidates that the reranker reads, if the searcher has one; 0: it reads
                none. At least k are read.

        Returns:
            The passages, best first.

        Raises:
            MixlingError: The query is empty, the mode, the order or a language is unknown, or the
                store has no passages in a language.

        Example:
            ```python
            hits = searcher.search("Who built the bridge?", k=5, languages=["sw", "de"])
            print(hits[0].text)
            ```
        """
        queries = [query] if isinstance(query, str) else list(query)
        if not queries or not all(text.strip() for text in queries):
            raise MixlingError("the query is empty. Write a query.")
        if any(replace_surrogates(text) != text for text in queries):
            raise MixlingError("the query is not valid UTF-8. Write it as text.")
        query_language = self.query_language(queries, query_language)
        # a transform by language takes what the caller states, not what it would identify itself
        tags = [query_language] if len(queries) == 1 else None  # others are translations
        vectors = self.retriever.encode(queries, "query", precision="fp32", languages=tags)
        options = SearchOptions(
            languages, mode, order, query_language, quotas, weights, highlight, rerank_depth
        )
        return self._search(queries, vectors, k, options)

    def search_vectors(
        self,
        queries: Sequence[str],
        vectors: np.ndarray,
        k: int = 10,
        *,
        languages: Sequence[str] | None = None,
        mode: Mode = "dense",
        order: Order = "query-language-first",
        query_language: str | None = None,
        quotas: Mapping[str, int] | None = None,
        weights: tuple[float, float] = (1.0, 1.0),
        highlight: bool = True,
        rerank_depth: int = RERANK_DEPTH,
    ) -> list[SearchHit]:
        """Find the best k passages for a query whose vectors are known.

        Args:
            queries: The query, or the query and its translations.
            vectors: Their vectors, float32 `[n_queries, dim]`; they are averaged.
            k: How many passages.
            languages: As in `search`.
            mode: As in `search`.
            order: As in `search`.
            query_language: As in `search`.
            quotas: As in `search`.
            weights: As in `search`.
            highlight: As in `search`.
            rerank_depth: As in `search`.

        Returns:
            The passages, best first.

        Raises:
            MixlingError: The mode, the order or a language is unknown, or the store has no passages
                in a language.
        """
        options = SearchOptions(
            languages, mode, order, query_language, quotas, weights, highlight, rerank_depth
        )
        return self._search(queries, vectors, k, options)

    def query_language(self, queries: Sequence[str], stated: str | None = None) -> str:
        """Return the language of a query, as stated or as identified from its text.

        The language is one of the store's, unless the identifier is sure of one that the store
        lacks (docs/development/decisions.md, 18).

        Args:
            queries: The query, or the query and its translations; the first text is identified.
            stated: The language, where the caller knows it.

        Raises:
            MixlingError: `stated` is no language.
        """
        if stated:
            return nearest_language(stated, self.means) or language_tag(stated)
        among_all, among_stored = self.identifiers
        language, probability = among_all(queries[0])
        language = WRITTEN_AS.get(language, language)
        outside = base_language(language) not in map(base_language, self.means)
        if outside and probability >= MIN_PROBABILITY_OUTSIDE:
            return language
        return among_stored(queries[0])[0]

    def query_vector(self, vectors: np.ndarray) -> np.ndarray:
        """Average the vectors of a query and its translations, as a search does.

        Args:
            vectors: float32 `[n_queries, dim]`.

        Returns:
            float32 `[dim]`.
        """
        mean: np.ndarray = normalize_for_similarity(self.retriever, vectors).mean(0)
        return mean

    def _search(
        self, queries: Sequence[str], vectors: np.ndarray, k: int, options: SearchOptions
    ) -> list[SearchHit]:
        mode = choose(options.mode, MODES, "mode")
        check_at_least(1, k=k)
        check_at_least(0, **dict(zip(("weights[0]", "weights[1]"), options.weights, strict=True)))
        if self.store.info is not self._info:  # the store moved on to a newer version
            self._read_info()
        info = self._info
        languages = self._languages(options.languages)
        quotas = self._quotas(options.quotas or {})
        query_language = self.query_language(queries, options.query_language)
        vector = self.query_vector(vectors)
        if self.reranker is not None and options.rerank_depth:
            stated = replace(options, query_language=query_language)
            candidates = partial(self._search, queries, vectors)
            hits = rerank_search(self.reranker, queries, k, stated, quotas, candidates)
            return highlight(self.store, hits, vector, queries) if options.highlight else hits
        depth = k if mode == "dense" else max(k, FUSION_DEPTH)
        search = PassageSearch(
            self.store, self.means, languages, depth, options.order, query_language, quotas
        )
        if mode == "dense":
            best = rank_by_vector(search, vector)
        elif mode == "text":
            best = rank_by_text(search, " ".join(queries))
        else:
            best = rank_by_both(search, vector, " ".join(queries), options.weights)
        if self.store.info is not info:  # it moved on during the search: search the newer version
            return self._search(queries, vectors, k, options)
        hits = [SearchHit.from_row(rank, row) for rank, row in enumerate(best[:k], 1)]
        if mode == "dense":
            hits = standard_scores(hits, vector, self.centers, self.sample)
        return highlight(self.store, hits, vector, queries) if options.highlight else hits

    def _languages(self, requested: Sequence[str] | None) -> list[str]:
        """Return the languages to search, as the store writes them."""
        if requested is None:
            return list(self.means)
        tags = {language_tag(x) for x in requested}
        languages = [x for x in self.means if language_tag(x) in tags]
        missing = sorted(tags - {language_tag(x) for x in languages})
        if missing:
            raise MixlingError(
                f"the store has no passages in {', '.join(missing)}. Its languages are: "
                f"{', '.join(self.means)}"
            )
        return languages

    def _quotas(self, requested: Mapping[str, int]) -> dict[str, int]:
        """Return the quotas by language, as the store writes it."""
        check_at_least(0, **{f"the quota of '{x}'": n for x, n in requested.items()})
        limits = {language_tag(x): n for x, n in requested.items()}
        return {x: limits[language_tag(x)] for x in self.means if language_tag(x) in limits}


def search(
    store: str,
    query: str | Sequence[str],
    k: int = 10,
    *,
    model: str | AnyEncoder | None = None,
    languages: Sequence[str] | None = None,
    mode: Mode = "dense",
    order: Order = "query-language-first",
    query_language: str | None = None,
    quotas: Mapping[str, int] | None = None,
    weights: tuple[float, float] = (1.0, 1.0),
    highlight: bool = True,
    reranker: Any = None,
    rerank_depth: int = RERANK_DEPTH,
    trust_remote_code: bool = False,
) -> list[SearchHit]:
    """Find the best k passages of a store for one query; for many queries, keep a `Searcher`.

    Args:
        store: A folder, or milvus://host:port/name.
        query: The query, or the query and its translations.
        k: How many passages.
        model: The model, or where its folder is now; by default the model that the store names.
        languages: Search passages in these languages only.
        mode: "dense" (vectors), "text" (full text) or "both" (the sum of the two scores).
        order: "query-language-first" (among equally good passages), "centered", "round-robin" or
            "score".
        query_language: Language of the query; identified if not given.
        quotas: At most this many passages of each of these languages.
        weights: Weights of vectors and full text in mode "both".
        highlight: Name the sentence of each passage that is nearest to the query.
        reranker: What reranks the candidates; see `Searcher`.
        rerank_depth: Candidates that the reranker reads.
        trust_remote_code: Run code that comes with the model; see `Retriever`.

    Returns:
        The passages, best first.

    Raises:
        MixlingError: There is no store, another model made it, or an option is wrong; see
            `Searcher.search`.

    Example:
        ```python
        for hit in mixling.search("index", "Who built the bridge?", k=3):
            print(hit.rank, hit.language, hit.text)
        ```
    """
    return Searcher(store, model, trust_remote_code, reranker=reranker).search(
        query,
        k,
        languages=languages,
        mode=mode,
        order=order,
        query_language=query_language,
        quotas=quotas,
        weights=weights,
        highlight=highlight,
        rerank_depth=rerank_depth,
    )
