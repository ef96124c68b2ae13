"""What the schedule needs to know of a corpus: its groups, their languages, which of them may not meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixling.corpora.corpus import Corpus, connected_components


@dataclass(frozen=True)
class TranslationGroups:
    """Question groups of one source.

    groups: names, [n]; block: int64 [n], groups of one block share passages and never meet in a batch;
    languages: BCP-47, [l]; questions, passages: bool [n, l], in which languages a group has any.
    """

    name: str
    groups: np.ndarray
    conflict_group: np.ndarray
    languages: tuple[str, ...]
    has_query: np.ndarray
    has_passage: np.ndarray


def translation_groups(corpus: Corpus) -> TranslationGroups:
    """The question groups of a corpus, in order of their names."""
    languages = tuple(corpus.languages())
    code = {x: i for i, x in enumerate(languages)}
    groups, q_group = np.unique(
        corpus.queries["group"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
    )
    index = {g: i for i, g in enumerate(groups)}
    l_group = np.array([index.get(g, -1) for g in corpus.links["group"].to_pylist()])
    l_passage = corpus.links["passage"].to_numpy()[l_group >= 0]
    l_group = l_group[l_group >= 0]
    q_language, p_language = (
        np.array([code[x] for x in t["language"].to_pylist()])
        for t in (corpus.queries, corpus.passages)
    )
    p_names, p_group = np.unique(
        corpus.passages["group"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
    )
    questions, passages = np.zeros((2, len(groups), len(languages)), bool)
    questions[q_group, q_language] = True
    passages[l_group, p_language[l_passage]] = True
    block = connected_components(l_group, p_group[l_passage], len(groups), len(p_names))[
        : len(groups)
    ]
    return TranslationGroups(
        corpus.name, groups, block.astype(np.int64), languages, questions, passages
    )


class PairRows:
    """Finds the rows of a corpus that a planned pair means."""

    def __init__(self, corpus: Corpus, units: TranslationGroups):
        self.n_languages = len(units.languages)
        code = {x: i for i, x in enumerate(units.languages)}
        index = {g: i for i, g in enumerate(units.groups)}
        key = np.array(
            [
                index[g] * self.n_languages + code[x]
                for g, x in zip(
                    corpus.queries["group"].to_pylist(),
                    corpus.queries["language"].to_pylist(),
                    strict=True,
                )
            ]
        )
        self.query_lookup = RowLookup(key)
        language = corpus.passages["language"].to_pylist()
        key = np.array(
            [
                index.get(g, -1) * self.n_languages + code[language[p]]
                for g, p in zip(
                    corpus.links["group"].to_pylist(),
                    corpus.links["passage"].to_pylist(),
                    strict=True,
                )
            ]
        )
        self.link_lookup = RowLookup(key)

    def pair_rows(
        self,
        groups: np.ndarray,
        query_language: np.ndarray,
        passage_language: np.ndarray,
        visit: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of `questions` and of `links` of each pair, int64 [n]; of several, the visits take turns."""
        return (
            self.query_rows(groups, query_language, visit),
            self.link_lookup(groups * self.n_languages + passage_language, visit),
        )

    def query_rows(self, groups: np.ndarray, language: np.ndarray, visit: np.ndarray) -> np.ndarray:
        """Rows of `questions` of groups in a language that each of them has, int64 [n]."""
        return self.query_lookup(groups * self.n_languages + language, visit)


class RowLookup:
    """Rows by key, int64; of several under one key the visits take turns."""

    def __init__(self, key: np.ndarray):
        self.row = np.argsort(key, kind="stable")
        self.key = key[self.row]

    def __call__(self, wanted: np.ndarray, visit: np.ndarray) -> np.ndarray:
        low, high = (
            np.searchsorted(self.key, wanted, "left"),
            np.searchsorted(self.key, wanted, "right"),
        )
        return self.row[low + visit % np.maximum(high - low, 1)]
