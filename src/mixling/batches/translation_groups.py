"""The schedule's view of a corpus: translation groups, their languages, which of them conflict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mixling.corpora.components import connected_components
from mixling.corpora.corpus import Corpus


@dataclass(frozen=True)
class TranslationGroups:
    """The translation groups of one source: a query in all its languages, and its passages.

    Args:
        name: The source.
        groups: Names of the groups, `[n]`.
        conflict_group: int64 `[n]`. Groups of one conflict group share passages and never meet in a
            batch.
        languages: The source's languages (BCP-47), `[n_languages]`.
        has_query: bool `[n, n_languages]`, in which languages a group has a query.
        has_passage: bool `[n, n_languages]`, in which languages a group has a passage.
    """

    name: str
    groups: np.ndarray
    conflict_group: np.ndarray
    languages: tuple[str, ...]
    has_query: np.ndarray
    has_passage: np.ndarray


def translation_groups(corpus: Corpus) -> TranslationGroups:
    """Return the translation groups of a corpus, in order of their names."""
    languages = tuple(corpus.languages())
    code = {x: i for i, x in enumerate(languages)}
    groups, query_group = np.unique(
        corpus.queries["group"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
    )
    index = {g: i for i, g in enumerate(groups)}
    link_group = np.array([index.get(g, -1) for g in corpus.links["group"].to_pylist()])
    link_passage = corpus.links["passage"].to_numpy()[link_group >= 0]
    link_group = link_group[link_group >= 0]
    query_language, passage_language = (
        np.array([code[x] for x in t["language"].to_pylist()])
        for t in (corpus.queries, corpus.passages)
    )
    passage_names, passage_group = np.unique(
        corpus.passages["group"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
    )
    has_query, has_passage = np.zeros((2, len(groups), len(languages)), bool)
    has_query[query_group, query_language] = True
    has_passage[link_group, passage_language[link_passage]] = True
    # A link joins a translation group and a passage group. All that is joined conflicts, also
    # through other groups.
    conflict_group = connected_components(
        link_group, passage_group[link_passage], len(groups), len(passage_names)
    )[: len(groups)]
    return TranslationGroups(
        corpus.name, groups, conflict_group.astype(np.int64), languages, has_query, has_passage
    )


class PairRows:
    """Finds the rows of a corpus for planned pairs.

    Args:
        corpus: The corpus.
        groups: Its translation groups.
    """

    def __init__(self, corpus: Corpus, groups: TranslationGroups):
        self.n_languages = len(groups.languages)
        code = {x: i for i, x in enumerate(groups.languages)}
        index = {g: i for i, g in enumerate(groups.groups)}

        def lookup(names: Iterable[str], languages: Iterable[str]) -> RowLookup:
            # rows of other groups get keys below 0, which nobody asks for
            keys = [
                index.get(g, -1) * self.n_languages + code[x]
                for g, x in zip(names, languages, strict=True)
            ]
            return RowLookup(np.array(keys))

        self.query_lookup = lookup(
            corpus.queries["group"].to_pylist(), corpus.queries["language"].to_pylist()
        )
        language = corpus.passages["language"].to_pylist()
        self.link_lookup = lookup(
            corpus.links["group"].to_pylist(),
            [language[p] for p in corpus.links["passage"].to_pylist()],
        )

    def pair_rows(
        self,
        groups: np.ndarray,
        query_language: np.ndarray,
        passage_language: np.ndarray,
        visit: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of each pair's query and link; of several rows, visits take turns.

        Args:
            groups: Translation groups, int64 `[n]`.
            query_language: Rows of the source's languages, int64 `[n]`.
            passage_language: Rows of the source's languages, int64 `[n]`.
            visit: Number of the visit of each group, int64 `[n]`.

        Returns:
            Rows of `corpus.queries` and of `corpus.links`, int64 `[n]` each.
        """
        return (
            self.query_rows(groups, query_language, visit),
            self.link_lookup(groups * self.n_languages + passage_language, visit),
        )

    def query_rows(self, groups: np.ndarray, language: np.ndarray, visit: np.ndarray) -> np.ndarray:
        """Return rows of `corpus.queries`, int64 `[n]`; arguments as in `pair_rows`.

        Each group must have a query in its language.
        """
        return self.query_lookup(groups * self.n_languages + language, visit)


class RowLookup:
    """Rows by key; where several rows have one key, visits take turns.

    Args:
        key: The key of each row, int64 `[rows]`.
    """

    def __init__(self, key: np.ndarray):
        self.row = np.argsort(key, kind="stable")
        self.key = key[self.row]

    def __call__(self, key: np.ndarray, visit: np.ndarray) -> np.ndarray:
        """Return the row of each key, int64 `[n]`."""
        low, high = np.searchsorted(self.key, key, "left"), np.searchsorted(self.key, key, "right")
        rows: np.ndarray = self.row[low + visit % np.maximum(high - low, 1)]
        return rows
