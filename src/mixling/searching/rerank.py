"""Reranks the candidates of a search by a reranker, with its language bias taken out.

A reranker reads a query and a passage together, which is better and far slower than comparing
vectors, so it reads the first candidates alone. Two things would let it answer in one language:

- Candidates by score are mostly in the query's language, and a reranker cannot find what it is not
  shown. They are drawn by the order `round-robin`, unless `order` is "score".
- A reranker prefers languages too. Its *language offset* for a query is estimated from the
  candidates themselves (`language_offsets`), which costs no further scores, and the orders use it
  as they use the offsets of vectors (`mixling.searching.fairness`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mixling.errors import check_at_least
from mixling.models.reranker import PairScorer, pair_scores, reranker_input
from mixling.searching.fairness import order_passages
from mixling.searching.hits import SearchHit
from mixling.searching.options import SearchOptions

SHRINKAGE = 2  # candidates at which a language's offset and that of all have the same weight


def rerank_search(
    reranker: PairScorer,
    queries: Sequence[str],
    k: int,
    options: SearchOptions,
    quotas: Mapping[str, int],
    search: Callable[[int, SearchOptions], list[SearchHit]],
) -> list[SearchHit]:
    """Draw candidates, rerank them, and put them into the order of the search.

    Args:
        reranker: The reranker.
        queries: The query, or the query and its translations, whose scores are averaged.
        k: How many passages.
        options: The options, with the language of the query.
        quotas: The quotas by language, as the store writes it.
        search: Finds a number of candidates under other options.

    Returns:
        The first k passages, with the reranker's scores and language offsets.

    Raises:
        MixlingError: The depth is negative, the reranker fails, or a score is no number.
    """
    check_at_least(0, rerank_depth=options.rerank_depth)
    by_score = options.order == "score"
    drawn = replace(
        options,
        order="score" if by_score and not quotas else "round-robin",
        quotas=None,
        highlight=False,
        rerank_depth=0,
    )
    hits = search(max(options.rerank_depth, k), drawn)
    texts = [reranker_input(hit.title, hit.text) for hit in hits]
    pairs = [(query, text) for query in queries for text in texts]
    scores = pair_scores(reranker, pairs).reshape(len(queries), len(hits)).mean(0)
    languages = [hit.language for hit in hits]
    offsets = {} if by_score else language_offsets(languages, scores)
    places = order_passages(
        languages, scores, offsets, options.order, options.query_language, quotas=quotas
    )
    return [
        replace(
            hits[i], rank=rank, score=float(scores[i]), language_offset=offsets.get(languages[i])
        )
        for rank, i in enumerate(places[:k], 1)
    ]


def language_offsets(
    languages: Sequence[str], scores: np.ndarray, c: float = SHRINKAGE
) -> dict[str, float]:
    """Estimate the offset of each language from the scores of its candidates.

    The offset is the mean of a language's scores. Few candidates answer, so answers hardly move it.
    With m the mean of n scores and M the mean of m over the languages, it is shrunk to
    n / (n + c) m + c / (n + c) M.

    Args:
        languages: Language of each candidate, `[n]`.
        scores: The reranker's score of each, `[n]`.
        c: The weight of M, in candidates.

    Returns:
        The offset of each language.
    """
    means, numbers = dict[str, float](), dict[str, int]()
    codes = np.array(languages)
    for language in dict.fromkeys(languages):
        of_language = np.asarray(scores, np.float64)[codes == language]
        means[language], numbers[language] = float(of_language.mean()), len(of_language)
    overall = float(np.mean(list(means.values()))) if means else 0.0
    weight = {x: numbers[x] / (numbers[x] + c) for x in means}
    return {x: weight[x] * means[x] + (1 - weight[x]) * overall for x in means}
