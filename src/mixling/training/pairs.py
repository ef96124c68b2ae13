"""A planned batch as texts: question, passage (a window round the answer), and the groups that mask negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mixling.batches.negatives import Negatives
from mixling.batches.permutation import mix, pick_column
from mixling.batches.schedule import BatchPlan, Schedule
from mixling.batches.translation_groups import PairRows
from mixling.corpora.corpus import Corpus
from mixling.corpora.values import with_title
from mixling.corpora.windows import cut_window, first_links


@dataclass(frozen=True)
class Batch:
    """questions, passages: texts [n]; group, block: int64 [n], pairs that share either are no negatives.

    translations: the same questions in another language, those that there are, of pairs `translated`, int64 [k].
    pivots: (question, passage) of pairs `pivoted`, int64 [l], in the language that a teacher reads.
    negatives: texts of hard negatives; negative_of, negative_block: int64 [m], the pair that each was found for, and the
    block of the questions that it would answer (-1: none). lists: for each pair what a teacher reads of it: the question,
    its passage and its negatives, in the teacher's language where they are there.
    """

    queries: list[str]
    passages: list[str]
    group: np.ndarray
    conflict_group: np.ndarray
    translations: Sequence[str] = ()
    translated: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    pivots: Sequence[tuple[str, str]] = ()
    pivoted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    negatives: Sequence[str] = ()
    negative_of: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    negative_conflict_group: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    lists: Sequence[tuple[str, list[str]]] = ()


class PairTexts:
    """Turns plans of a schedule into texts.

    window: characters of a passage (None: all of it). negatives: hard ones a pair, and negatives_in whose language
    (batches/negatives.py). every_language: a pair stands for all languages of its passages (round robin entries).
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        schedule: Schedule,
        window: int | None,
        negatives: int = 0,
        negatives_in: str = "mined",
        every_language: bool = False,
        titles: bool = False,
    ):
        self.schedule, self.window = schedule, window
        self.count, self.negatives_in, self.every_language = negatives, negatives_in, every_language
        self.rows = [PairRows(c, u) for c, u in zip(corpora, schedule.sources, strict=True)]
        self.negatives = (
            [Negatives(c, u) for c, u in zip(corpora, schedule.sources, strict=True)]
            if negatives
            else []
        )
        self.question_text = [c.queries["text"] for c in corpora]
        self.passage_text = [c.passages["text"] for c in corpora]
        self.title = [c.passages["title"] for c in corpora] if titles else []
        self.link_passage = [c.links["passage"].to_numpy() for c in corpora]
        self.link_span = [
            np.stack([c.links[k].fill_null(-1).to_numpy() for k in ("start", "end")], 1)
            for c in corpora
        ]
        self.first_link = [first_links(c) for c in corpora] if negatives else []

    def batch(
        self,
        plan: BatchPlan,
        translations: bool = False,
        pivot: str | None = None,
        lists: str | None = None,
    ) -> Batch:
        """The texts of a plan; with the questions' translations, with both texts in a pivot language, with lists in a
        teacher's language, if asked."""
        source = self.schedule.sources[plan.source]
        if self.every_language:
            plan = self._everywhere(plan)
        question, link = self.rows[plan.source].pair_rows(
            plan.groups, plan.query_languages, plan.passage_languages, plan.visits
        )
        batch = Batch(
            self._questions(plan.source, question),
            self._passages(plan.source, link),
            plan.groups,
            source.conflict_group[plan.groups],
        )
        if self.count:
            batch = self._with_negatives(batch, plan, question, link, lists)
        if translations:
            other, language = self._others(plan)
            rows = self.rows[plan.source].query_rows(
                plan.groups[other], language, plan.visits[other]
            )
            batch = replace(
                batch, translations=self._questions(plan.source, rows), translated=other
            )
        if pivot is not None and pivot in source.languages:
            code = source.languages.index(pivot)
            have = np.flatnonzero((source.has_query & source.has_passage)[plan.groups, code])
            all_pivot = np.full(len(have), code)
            q, p = self.rows[plan.source].pair_rows(
                plan.groups[have], all_pivot, all_pivot, plan.visits[have]
            )
            both = zip(self._questions(plan.source, q), self._passages(plan.source, p), strict=True)
            batch = replace(batch, pivots=list(both), pivoted=have)
        return batch

    def _everywhere(self, plan: BatchPlan) -> BatchPlan:
        """Each group of a plan once for every language that its passages are in (arXiv:2404.08118: round robin entries)."""
        nth, code = np.nonzero(self.schedule.sources[plan.source].has_passage[plan.groups])
        return replace(
            plan,
            groups=plan.groups[nth],
            query_languages=plan.query_languages[nth],
            passage_languages=code,
            visits=plan.visits[nth],
        )

    def _with_negatives(
        self,
        batch: Batch,
        plan: BatchPlan,
        question: np.ndarray,
        link: np.ndarray,
        lists: str | None,
    ) -> Batch:
        s = plan.source
        known = self.negatives[s]
        of, passage = known.negatives_of(
            question,
            batch.conflict_group,
            plan.passage_languages,
            plan.visits,
            self.count,
            self.negatives_in,
            self.schedule.seed,
        )
        batch = replace(
            batch,
            negatives=self._alone(s, passage),
            negative_of=of,
            negative_conflict_group=known.conflict_group[passage],
        )
        if lists is None:
            return batch
        languages = self.schedule.sources[s].languages
        right = self.link_passage[s][link]
        asked, read = question, passage
        if lists in languages:
            code = languages.index(lists)
            has = self.schedule.sources[s].has_query[plan.groups, code]
            wanted = np.where(has, code, plan.query_languages)
            asked = self.rows[s].query_rows(plan.groups, wanted, plan.visits)
            right, read = known.in_language(right, code), known.in_language(passage, code)
        first, others = self._alone(s, right), self._alone(s, read)
        mine = [[text] for text in first]
        for i, text in zip(of, others, strict=True):
            mine[i].append(text)
        return replace(batch, lists=list(zip(self._questions(s, asked), mine, strict=True)))

    def _others(self, plan: BatchPlan) -> tuple[np.ndarray, np.ndarray]:
        """Pairs whose question there is in another language, and which: by hash of group, language and visit."""
        have = self.schedule.sources[plan.source].has_query[plan.groups].copy()
        have[np.arange(len(have)), plan.query_languages] = False
        rows = np.flatnonzero(have.any(1))
        key = mix(
            self.schedule.seed, plan.groups[rows], plan.query_languages[rows], plan.visits[rows]
        )
        return rows, pick_column(have[rows], key)

    def _questions(self, s: int, rows: np.ndarray) -> list[str]:
        return [self.question_text[s][int(i)].as_py() for i in rows]

    def _passages(self, s: int, links: np.ndarray) -> list[str]:
        """The passages of links, each a window round its answer."""
        return [self._cut(s, int(self.link_passage[s][i]), self.link_span[s][i]) for i in links]

    def _alone(self, s: int, passages: np.ndarray) -> list[str]:
        """Passages by row: each a window round the first answer that is known in it."""
        none = np.array([-1, -1])
        link = self.first_link[s][passages]
        spans = [self.link_span[s][i] if i >= 0 else none for i in link]
        return [self._cut(s, int(p), span) for p, span in zip(passages, spans, strict=True)]

    def _cut(self, s: int, passage: int, span: np.ndarray) -> str:
        text = self.passage_text[s][passage].as_py()
        if self.window is not None:
            text = cut_window(text, int(span[0]), int(span[1]), self.window)
        title = self.title[s][passage].as_py() if self.title else None
        return with_title(title, text)
