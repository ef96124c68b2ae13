"""Hard negatives of planned pairs: which passages, in which language, and whose answers."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mixling.batches.permutation import mix, pick_column
from mixling.batches.translation_groups import RowLookup, TranslationGroups
from mixling.corpora.corpus import Corpus

LANGUAGES = ("mined", "pair", "any")


class Negatives:
    """The hard negatives of one source.

    Args:
        corpus: The source.
        groups: Its translation groups.

    Attributes:
        conflict_group: int64 `[passages]`, the conflict group of the queries that a passage (or a
            translation of it) answers, -1 if it answers none.
    """

    def __init__(self, corpus: Corpus, groups: TranslationGroups):
        code = {x: i for i, x in enumerate(groups.languages)}
        self.n_languages = len(groups.languages)
        self.language = np.array(
            [code[x] for x in corpus.passages["language"].to_pylist()], np.int64
        )
        names, self.group = np.unique(
            corpus.passages["group"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
        )
        self.has_translation = np.zeros((len(names), self.n_languages), bool)
        self.has_translation[self.group, self.language] = True
        self.rows = RowLookup(self.group * self.n_languages + self.language)
        index = {g: i for i, g in enumerate(groups.groups)}
        link_group = np.array(
            [index.get(g, -1) for g in corpus.links["group"].to_pylist()], np.int64
        )
        link_passage_group = self.group[corpus.links["passage"].to_numpy()]
        linked = link_group >= 0
        conflict_of = np.full(len(names), -1, np.int64)
        conflict_of[link_passage_group[linked]] = groups.conflict_group[link_group[linked]]
        self.conflict_group = conflict_of[self.group]
        query = corpus.negatives["query"].to_numpy()
        order = np.argsort(query, kind="stable")
        self.passage = corpus.negatives["passage"].to_numpy()[order]
        self.edges = np.searchsorted(query[order], np.arange(corpus.queries.num_rows + 1))

    def negatives_of(
        self,
        query_rows: np.ndarray,
        conflict_groups: np.ndarray,
        passage_languages: np.ndarray,
        visits: np.ndarray,
        count: int,
        languages: Literal["mined", "pair", "any"] = "mined",
        seed: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return up to `count` hard negatives of each pair.

        A passage of the pair's own conflict group is left out, whatever the corpus says. If a pair
        has more negatives than `count`, its visits take turns: visit v takes the v-th `count` of
        them.

        Args:
            query_rows: Rows of `corpus.queries`, int64 `[n]`.
            conflict_groups: The conflict group of each pair, int64 `[n]`.
            passage_languages: The language of each pair's passage, int64 `[n]`.
            visits: Number of the visit of each pair, int64 `[n]`.
            count: Greatest number of negatives of a pair.
            languages: "mined": as they stand in the corpus; "pair": in the language of the pair's
                passage, where there is such a translation; "any": each in one of its languages.
            seed: Seed of the choice for "any".

        Returns:
            The pair and the row in `corpus.passages` of each negative, int64 `[m]` each.
        """
        pairs, passages = [], []
        for i, row in enumerate(query_rows):
            mined = self.passage[self.edges[row] : self.edges[row + 1]]
            mined = mined[self.conflict_group[mined] != conflict_groups[i]]
            n = min(count, len(mined))
            nth = np.arange(n) + int(visits[i]) * n
            passages.append(mined[nth % len(mined)] if n else mined[:0])
            pairs.append(np.full(n, i))
        pair, passage = np.concatenate(pairs), np.concatenate(passages)
        if languages != "mined" and len(pair):
            language = passage_languages[pair]
            if languages == "any":
                key = mix(seed, passage, visits[pair], conflict_groups[pair])
                language = pick_column(self.has_translation[self.group[passage]], key)
            passage = self.in_language(passage, language)
        return pair, passage

    def in_language(self, passages: np.ndarray, language: int | np.ndarray) -> np.ndarray:
        """Return passages' translations into a language; those without one stay as they are.

        Args:
            passages: Rows of `corpus.passages`, int64 `[m]`.
            language: One language for all, or one for each passage, int64 `[m]`.

        Returns:
            Rows of `corpus.passages`, int64 `[m]`.
        """
        has = self.has_translation[self.group[passages], language]
        language = np.where(has, language, self.language[passages])
        return self.rows(
            self.group[passages] * self.n_languages + language, np.zeros(len(passages), np.int64)
        )
