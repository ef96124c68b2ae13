"""Hard negatives of planned pairs: which passages, in which language, and whose answers they would be."""

from __future__ import annotations

import numpy as np

from mixling.batches.permutation import mix, pick_column
from mixling.batches.translation_groups import RowLookup, TranslationGroups
from mixling.corpora.corpus import Corpus

LANGUAGES = ("mined", "pair", "any")


class Negatives:
    """The negatives of one source.

    block: int64 [passages], the block of the question groups that a passage (or a translation of it) answers, -1 if it
    answers none.
    """

    def __init__(self, corpus: Corpus, units: TranslationGroups):
        code = {x: i for i, x in enumerate(units.languages)}
        self.languages = len(units.languages)
        self.language = np.array(
            [code[x] for x in corpus.passages["language"].to_pylist()], np.int64
        )
        names, self.group = np.unique(
            corpus.passages["group"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
        )
        self.has_translation = np.zeros((len(names), self.languages), bool)
        self.has_translation[self.group, self.language] = True
        self.rows = RowLookup(self.group * self.languages + self.language)
        index = {g: i for i, g in enumerate(units.groups)}
        asked = np.array([index.get(g, -1) for g in corpus.links["group"].to_pylist()], np.int64)
        answered = self.group[corpus.links["passage"].to_numpy()]
        of_group = np.full(len(names), -1, np.int64)
        of_group[answered[asked >= 0]] = units.conflict_group[asked[asked >= 0]]
        self.conflict_group = of_group[self.group]
        question = corpus.negatives["question"].to_numpy()
        order = np.argsort(question, kind="stable")
        self.passage = corpus.negatives["passage"].to_numpy()[order]
        self.edges = np.searchsorted(question[order], np.arange(corpus.queries.num_rows + 1))

    def negatives_of(
        self,
        questions: np.ndarray,
        blocks: np.ndarray,
        passage_languages: np.ndarray,
        visits: np.ndarray,
        count: int,
        languages: str = "mined",
        seed: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(pair, passage) of up to `count` negatives of each pair, int64 [m] each; of more the visits take turns.

        questions: rows; blocks: of the pairs' groups; languages: "mined" as they stand in the corpus, "pair" in the
        language of the pair's passage where there is such a translation, "any" each in one of its languages.
        A passage of the pair's own block is left out, whatever the corpus says.
        """
        pairs, found = [], []
        for i, row in enumerate(questions):
            mine = self.passage[self.edges[row] : self.edges[row + 1]]
            mine = mine[self.conflict_group[mine] != blocks[i]]
            n = min(count, len(mine))
            turn = np.arange(n) + int(visits[i]) * n
            found.append(mine[turn % len(mine)] if n else mine[:0])
            pairs.append(np.full(n, i))
        pair, passage = np.concatenate(pairs), np.concatenate(found)
        if languages != "mined" and len(pair):
            wanted = passage_languages[pair]
            if languages == "any":
                key = mix(seed, passage, visits[pair], blocks[pair])
                wanted = pick_column(self.has_translation[self.group[passage]], key)
            passage = self.in_language(passage, wanted)
        return pair, passage

    def in_language(self, passages: np.ndarray, language: int | np.ndarray) -> np.ndarray:
        """The same passages in a language (or each in its own, [m]), int64 [m]; those that have none stay as they are."""
        has = self.has_translation[self.group[passages], language]
        wanted = np.where(has, language, self.language[passages])
        return self.rows(
            self.group[passages] * self.languages + wanted, np.zeros(len(passages), np.int64)
        )
