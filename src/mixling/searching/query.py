"""Searches a store: finds the passages that answer a query, in any language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mixling.corpora.files import replace_surrogates
from mixling.corpora.languages import base_language, language_tag, nearest_language
from mixling.encoding.vectors import normalize_for_similarity
from mixling.errors import MixlingError, choose
from mixling.models.retriever import Retriever
from mixling.models.settings import OPTION_TYPES
from mixling.searching.fairness import Order, shrunk
from mixling.searching.hits import SearchHit, highlight_hits, hit_sentences, span_texts
from mixling.searching.languages import LanguageIdentifier
from mixling.searching.options import MODES, Mode, SearchOptions
from mixling.searching.ranking import FUSION_DEPTH, DenseSearch, Row, fuse_rankings
from mixling.searching.stores import made_by, open_searchable_store

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

    Raises:
        MixlingError: There is no store, its indexing did not finish, the model cannot be loaded, or
            another model made the store.
    """

    def __init__(
        self,
        store: str,
        model: str | Retriever | None = None,
        trust_remote_code: bool = False,
        task_description: str | None = None,
    ):
        self.store = open_searchable_store(store)
        info: Mapping[str, Any] = self.store.info
        options = _model_options(store, info)
        if task_description is not None:
            options["task_description"] = task_description
            # the store holds passages, which do not depend on the prompt of queries
            info = {**info, "prompts": {"passage": info["prompts"].get("passage", "")}}
        if isinstance(model, Retriever):
            self.retriever = model
        else:
            self.retriever = _load_model(store, info, model, trust_remote_code, options)
        if not made_by(self.retriever, dict(info)):
            raise MixlingError(
                f"{store}: was made with {self.store.info['model']}. "
                f"{self.retriever.name} has other weights or prompts; "
                "search with that model, or index again into another store"
            )
        self.address = store
        self._read_info()

    def _read_info(self) -> None:
        """Read the languages of the store and their mean vectors."""
        self._info = self.store.info
        if "means" not in self._info:
            raise MixlingError(
                f"{self.address}: indexing was not finished; "
                "run the same `mixling index` again and it goes on"
            )
        counts = self._info.get("languages")
        self.means = shrunk(self._info["means"], counts if isinstance(counts, dict) else {})
        self.__dict__.pop("identifiers", None)

    @cached_property
    def identifiers(self) -> tuple[LanguageIdentifier, LanguageIdentifier]:
        """Identifiers of a query's language: among all languages, and among the store's."""
        return LanguageIdentifier(), LanguageIdentifier(list(self.means))

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
    ) -> list[SearchHit]:
        """Find the best k passages for a query.

        Args:
            query: The query, or the query and its translations, whose vectors are averaged.
            k: How many passages.
            languages: Search passages in these languages only.
            mode: "dense" (vectors), "text" (full text) or "both" (reciprocal rank fusion of the
                two).
            order: How passages of several languages are ordered: "query-language-first" (among
                equally good passages), "centered", "round-robin" or "score"; see
                `mixling.searching.fairness`.
            query_language: Language of the query; identified if not given.
            quotas: At most this many passages of each of these languages.
            weights: Weights of the dense and of the full-text list in mode "both".
            highlight: Name the sentence of each passage that is nearest to the query. This costs as
                much as encoding the passages.

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
            raise MixlingError("the query is empty; write one")
        if any(replace_surrogates(text) != text for text in queries):
            raise MixlingError("the query is not UTF-8; write it as text")
        vectors = self.retriever.encode(queries, "query", precision="fp32")
        options = SearchOptions(languages, mode, order, query_language, quotas, weights, highlight)
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

        Returns:
            The passages, best first.

        Raises:
            MixlingError: The mode, the order or a language is unknown, or the store has no passages
                in a language.
        """
        options = SearchOptions(languages, mode, order, query_language, quotas, weights, highlight)
        return self._search(queries, vectors, k, options)

    def query_language(self, queries: Sequence[str], stated: str | None = None) -> str:
        """Return the language of a query, as stated or as identified from its text.

        The language is one of the store's, unless the identifier is sure of one that the store
        lacks (docs/decisions.md, 18).

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
        if self.store.info is not self._info:  # the store moved on to a newer version
            self._read_info()
        info = self._info
        languages = self._languages(options.languages)
        quotas = self._quotas(options.quotas or {})
        query_language = self.query_language(queries, options.query_language)
        vector = self.query_vector(vectors)
        rankings: list[list[Row]] = []
        depth = k if mode == "dense" else max(k, FUSION_DEPTH)
        if mode in ("dense", "both"):
            dense = DenseSearch(
                self.store, self.means, languages, depth, options.order, query_language, quotas
            )
            rankings.append(dense.rank(vector))
        if mode in ("text", "both"):
            language_filter = None if options.languages is None else languages
            rows = self.store.lexical(" ".join(queries), depth, language_filter)
            rankings.append(rows.to_pylist())
        if self.store.info is not info:  # it moved on during the search: search the newer version
            return self._search(queries, vectors, k, options)
        best = rankings[0] if len(rankings) == 1 else fuse_rankings(rankings, options.weights)
        hits = [SearchHit.from_row(rank, row) for rank, row in enumerate(best[:k], 1)]
        return self._highlight(hits, vector) if options.highlight else hits

    def _languages(self, requested: Sequence[str] | None) -> list[str]:
        """Return the languages to search, as the store writes them."""
        if requested is None:
            return list(self.means)
        tags = {language_tag(x) for x in requested}
        languages = [x for x in self.means if language_tag(x) in tags]
        missing = sorted(tags - {language_tag(x) for x in languages})
        if missing:
            raise MixlingError(
                f"the store has no passages in {', '.join(missing)}; it has {', '.join(self.means)}"
            )
        return languages

    def _quotas(self, requested: Mapping[str, int]) -> dict[str, int]:
        """Return the quotas by language, as the store writes it."""
        limits = {language_tag(x): n for x, n in requested.items()}
        return {x: limits[language_tag(x)] for x in self.means if language_tag(x) in limits}

    def _highlight(self, hits: Sequence[SearchHit], vector: np.ndarray) -> list[SearchHit]:
        spans = hit_sentences(hits)
        texts = span_texts(hits, spans)
        if not texts:
            return highlight_hits(hits, spans, np.zeros(0))
        return highlight_hits(
            hits, spans, self.retriever.encode(texts, "passage", precision="fp32") @ vector
        )


def search(
    store: str,
    query: str | Sequence[str],
    k: int = 10,
    *,
    model: str | Retriever | None = None,
    languages: Sequence[str] | None = None,
    mode: Mode = "dense",
    order: Order = "query-language-first",
    query_language: str | None = None,
    quotas: Mapping[str, int] | None = None,
    weights: tuple[float, float] = (1.0, 1.0),
    highlight: bool = True,
    trust_remote_code: bool = False,
) -> list[SearchHit]:
    """Find the best k passages of a store for one query; for many queries, keep a `Searcher`.

    Args:
        store: A folder, or milvus://host:port/name.
        query: The query, or the query and its translations.
        k: How many passages.
        model: The model, or where its folder is now; by default the model that the store names.
        languages: Search passages in these languages only.
        mode: "dense" (vectors), "text" (full text) or "both" (reciprocal rank fusion of the two).
        order: "query-language-first" (among equally good passages), "centered", "round-robin" or
            "score".
        query_language: Language of the query; identified if not given.
        quotas: At most this many passages of each of these languages.
        weights: Weights of the dense and of the full-text list in mode "both".
        highlight: Name the sentence of each passage that is nearest to the query.
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
    return Searcher(store, model, trust_remote_code).search(
        query,
        k,
        languages=languages,
        mode=mode,
        order=order,
        query_language=query_language,
        quotas=quotas,
        weights=weights,
        highlight=highlight,
    )


def _model_options(address: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a store was made with: arguments of `Retriever`."""
    options = info.get("model_options") or {}
    if not isinstance(options, dict) or not all(
        isinstance(value, OPTION_TYPES.get(name, ())) for name, value in options.items()
    ):
        raise MixlingError(
            f"{address}: its model_options are not what Mixling writes ({str(options)[:60]}); "
            "index the documents again"
        )
    return dict(options)


def _load_model(
    address: str,
    info: Mapping[str, Any],
    model: str | None,
    trust_remote_code: bool,
    options: Mapping[str, Any],
) -> Retriever:
    """Load the model that the caller or else the store names."""
    if model is not None:
        return Retriever(model, trust_remote_code=trust_remote_code, **options)
    name = str(info["model"])
    try:
        return Retriever(name, trust_remote_code=trust_remote_code, **options)
    except MixlingError as error:
        raise MixlingError(
            f"{address}: the store was made with the model {name}, which "
            f"cannot be loaded ({error}). If the model has moved, name its "
            "new place: --model PATH (in Python: Searcher(store, model))."
        ) from None
