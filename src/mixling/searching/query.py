"""The verb `search`: a question to the passages that answer it, in any language, fairly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mixling.corpora.files import replace_surrogates
from mixling.corpora.languages import base_language, language_tag, nearest_language
from mixling.encoding.vectors import normalize_for_similarity
from mixling.errors import MixlingError, choose
from mixling.models.retriever import Retriever
from mixling.searching.fairness import EQUAL, order_passages, shrunk
from mixling.searching.languages import LanguageIdentifier
from mixling.searching.passages import split_sentences
from mixling.searching.store import Store
from mixling.searching.stores import made_by, open_whole

MODES = ("dense", "text", "both")
# languages up to which each has a list of its own; candidates of lists that are fused; candidates a result in one list of all
LISTS, DEPTH, FIRST = 48, 50, 10
OUTSIDE = 0.5  # how likely a language that the store has not must be
WRITTEN_AS = {
    "arz": "ar",
    "ary": "ar",
    "wuu": "zh",
    "yue": "zh",
}  # spoken otherwise: the identifier's usual mistakes


class Searcher:
    """A store with the model that made it, ready for questions.

    trust_remote_code: as of Retriever. Raises MixlingError when there is no store or the model is another one.
    """

    def __init__(
        self, store: str, model: str | Retriever | None = None, trust_remote_code: bool = False
    ):
        self.store: Store = open_whole(store)
        self.retriever = (
            model
            if isinstance(model, Retriever)
            else _load(store, self.store, model, trust_remote_code)
        )
        if not made_by(self.retriever, self.store.info):
            raise MixlingError(
                f"{store}: was made with {self.store.info['model']}, whose weights or prompts {self.retriever.name} has not; "
                "search with that model, or index again into another store"
            )
        self.address = store
        self._read()

    def _read(self) -> None:
        """Take the languages of the store and their means from its facts."""
        self.facts = self.store.info
        if "means" not in self.facts:
            raise MixlingError(
                f"{self.address}: indexing was not finished; run the same `mixling index` again and it goes on"
            )
        counts = self.facts.get("languages")
        self.means = shrunk(self.facts["means"], counts if isinstance(counts, dict) else {})
        self.__dict__.pop("identifiers", None)

    @cached_property
    def identifiers(self) -> tuple[LanguageIdentifier, LanguageIdentifier]:
        """They tell a question's language: among all, and among those of the store."""
        return LanguageIdentifier(), LanguageIdentifier(list(self.means))

    def search(self, query: str | Sequence[str], k: int = 10, **more: Any) -> list[dict[str, Any]]:
        """Find the best k passages for a query, or for a query and its translations.

        Args:
            query: The query, or it and its translations, whose vectors are averaged.
            k: How many passages.
            **more: As in `search_vectors`.
        """
        queries = [query] if isinstance(query, str) else list(query)
        if not queries or not all(q.strip() for q in queries):
            raise MixlingError("the query is empty; write one")
        if any(replace_surrogates(q) != q for q in queries):
            raise MixlingError("the query is not UTF-8; write it as text")
        return self.search_vectors(
            queries, self.retriever.encode(queries, "query", precision="fp32"), k, **more
        )

    def search_vectors(
        self,
        queries: Sequence[str],
        vectors: np.ndarray,
        k: int = 10,
        *,
        languages: Sequence[str] | None = None,
        mode: str = "dense",
        order: str = "query-language-first",
        query_language: str | None = None,
        quotas: Mapping[str, int] | None = None,
        weights: tuple[float, float] = (1.0, 1.0),
        highlight: bool = True,
    ) -> list[dict[str, Any]]:
        """Find the best k passages for the vectors of a query.

        Args:
            queries: The query, or it and its translations.
            vectors: Their vectors, float32 `[queries, dim]`; they are averaged.
            k: How many passages.
            languages: Search passages in these languages only.
            mode: "dense", "text" (full text) or "both" (reciprocal rank fusion, by `weights`).
            order: One of `mixling.searching.fairness.ORDERS`.
            query_language: Language of the query; identified if not given.
            quotas: At most this many passages of a language.
            weights: Weights of the dense and of the full-text list.
            highlight: Name the sentence that answers.

        Returns:
            One dictionary a passage: rank, score, language, title, address, text, sentence (`[begin, end)` in the text, if
            `highlight`), language_offset (where the order reads it), and the store's other columns.

        Raises:
            MixlingError: The mode, the order or a language is unknown, or the store has no passages in a language.
        """
        choose(mode, MODES, "mode")
        if self.store.info is not self.facts:  # it has been indexed again, and the store follows
            self._read()
        facts = self.facts
        wanted = None if languages is None else [language_tag(x) for x in languages]
        known = [x for x in self.means if wanted is None or language_tag(x) in wanted]
        lacking = sorted({*(wanted or ())} - {language_tag(x) for x in known})
        if lacking:
            raise MixlingError(
                f"the store has no passages in {', '.join(lacking)}; it has {', '.join(self.means)}"
            )
        limits = {language_tag(x): n for x, n in (quotas or {}).items()}
        quotas = {x: limits[language_tag(x)] for x in self.means if language_tag(x) in limits}
        language = self.language(queries, query_language)
        vector = self.mean(vectors)
        lists, depth = [], k if mode == "dense" else max(k, DEPTH)
        if mode in ("dense", "both"):
            lists.append(self._dense(vector, known, depth, order, language, quotas))
        if mode in ("text", "both"):
            some = None if wanted is None else known
            lists.append(self.store.lexical(" ".join(queries), depth, some).to_pylist())
        if self.store.info is not facts:
            return self.search_vectors(
                queries, vectors, k, languages=languages, mode=mode, order=order, query_language=query_language,
                quotas=quotas, weights=weights, highlight=highlight,
            )  # fmt: skip
        found = lists[0] if len(lists) == 1 else _fused(lists, weights)
        rows = [
            {"rank": rank, **row, "metadata": json.loads(row["metadata"] or "{}")}
            for rank, row in enumerate(found[:k], 1)
        ]
        return self._marked(rows, vector) if highlight else rows

    def language(self, asked: Sequence[str], given: str | None = None) -> str:
        """The language of a question, as given or identified: among the store's, unless it is rather one that the store
        has not (decisions.md, 18)."""
        if given:
            return nearest_language(given, self.means) or language_tag(given)
        among_all, among_stored = self.identifiers
        found, probability = among_all(asked[0])
        found = WRITTEN_AS.get(found, found)
        elsewhere = base_language(found) not in map(base_language, self.means)
        return found if probability >= OUTSIDE and elsewhere else among_stored(asked[0])[0]

    def mean(self, v: np.ndarray) -> np.ndarray:
        """The mean of the vectors of a question and its translations: float32 [d]."""
        return normalize_for_similarity(self.retriever, v).mean(0)

    def _dense(
        self,
        vector: np.ndarray,
        known: Sequence[str],
        depth: int,
        order: str,
        query_language: str,
        quotas: Mapping[str, int] | None,
    ) -> list[dict[str, Any]]:
        some = known if len(known) < len(self.means) else None
        if order == "score" and not quotas:
            return _by_score(self.store.nearest(vector, depth, some).to_pylist())
        language_offsets = {x: float(vector @ self.means[x]) for x in known}
        taken: dict[str, Any] = {
            "language_offsets": language_offsets,
            "order": order,
            "query_language": query_language,
            "quotas": quotas,
        }
        if order == "round-robin" or quotas:
            rows = self._lists(vector, known, depth)
        else:
            rows = self.store.nearest(vector, FIRST * depth, some).to_pylist()
            if len(rows) == FIRST * depth:
                rows += self._unseen(vector, rows, depth, taken)
        rows = _by_score(rows)
        places = _ordered(rows, **taken)
        return [
            {**rows[i], "language_offset": language_offsets.get(rows[i]["language"], 0.0)}
            for i in places
        ]

    def _lists(self, vector: np.ndarray, known: Sequence[str], depth: int) -> list[dict[str, Any]]:
        """The best passages of each language; of all together where languages are many."""
        if len(known) > LISTS:
            return self.store.nearest(vector, max(depth, DEPTH) * 20, known).to_pylist()
        return [r for x in known for r in self.store.nearest(vector, depth, [x]).to_pylist()]

    def _unseen(
        self, vector: np.ndarray, rows: Sequence[dict[str, Any]], depth: int, taken: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Passages that may belong to the first `depth` and are not among rows, the best of all languages together: of the
        languages whose level is so low that what scores less than the last row can still come that far."""
        language_offsets = taken["language_offsets"]
        centered = [r["score"] - language_offsets.get(r["language"], 0.0) for r in rows]
        places = _ordered(rows, **taken)[:depth]
        floor = min(centered[i] for i in places) - EQUAL * abs(max(centered))
        low = [x for x in language_offsets if rows[-1]["score"] - language_offsets[x] >= floor]
        there = {r["id"] for r in rows}
        return [r for r in self._lists(vector, low, depth) if r["id"] not in there] if low else []

    def _marked(self, rows: Sequence[dict[str, Any]], vector: np.ndarray) -> list[dict[str, Any]]:
        spans = sentences_of(rows)
        texts = [r["text"][a:b] for r, cut in zip(rows, spans, strict=True) for a, b in cut]
        near = (
            self.retriever.encode(texts, "passage", precision="fp32") @ vector
            if texts
            else np.zeros(0)
        )
        return mark(rows, spans, near)


def sentences_of(rows: Sequence[Mapping[str, Any]]) -> list[list[tuple[int, int]]]:
    """The sentences of found passages: [begin, end) in the text of each."""
    return [split_sentences(r["text"], r["language"]) for r in rows]


def mark(
    rows: Sequence[Mapping[str, Any]], spans: Sequence[Sequence[tuple[int, int]]], near: np.ndarray
) -> list[dict[str, Any]]:
    """Found passages with `sentence`, the span of the sentence nearest to the question; near: of all sentences [n]."""
    out, at = [], 0
    for row, cut in zip(rows, spans, strict=True):
        best = int(near[at : at + len(cut)].argmax()) if cut else 0
        out.append({**row, "sentence": list(cut[best]) if cut else [0, len(row["text"])]})
        at += len(cut)
    return out


def _load(address: str, store: Store, model: str | None, trust_remote_code: bool) -> Retriever:
    """The store's model, or the one that the caller names. Raises MixlingError, which says how to name a model that has moved."""
    if model is not None:
        return Retriever(model, trust_remote_code=trust_remote_code)
    name = str(store.info["model"])
    try:
        return Retriever(name, trust_remote_code=trust_remote_code)
    except MixlingError as error:
        raise MixlingError(
            f"{address}: the store was made with the model {name}, which cannot be loaded ({error}). "
            "If the model has moved, name its new place: --model PATH (in Python: Searcher(store, model))."
        ) from None


def _ordered(
    rows: Sequence[dict[str, Any]], language_offsets: Mapping[str, float], **more: Any
) -> np.ndarray:
    """The places of found passages in the order of `fairness.order`."""
    return order_passages(
        [r["language"] for r in rows],
        np.array([r["score"] for r in rows]),
        language_offsets,
        **more,
    )


def _by_score(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Best first, equal scores by id."""
    return sorted(rows, key=lambda r: (-r["score"], r["id"]))


def _fused(
    lists: Sequence[Sequence[dict[str, Any]]], weights: Sequence[float], k: int = 60
) -> list[dict[str, Any]]:
    """Reciprocal rank fusion (Cormack et al. 2009): the sum of weight / (60 + rank)."""
    total: dict[str, float] = {}
    rows: dict[str, dict[str, Any]] = {}
    for found, weight in zip(lists, weights, strict=True):
        for rank, row in enumerate(found, 1):
            total[row["id"]] = total.get(row["id"], 0.0) + weight / (k + rank)
            rows.setdefault(row["id"], row)
    best = sorted(total, key=lambda i: (-total[i], i))
    return [{**rows[i], "score": total[i]} for i in best]


def search(
    store: str, query: str | Sequence[str], k: int = 10, **more: Any
) -> list[dict[str, Any]]:
    """Ask a store one question; see `Searcher.search`. For many, keep a Searcher."""
    searcher = Searcher(store, more.pop("model", None), more.pop("trust_remote_code", False))
    return searcher.search(query, k, **more)
