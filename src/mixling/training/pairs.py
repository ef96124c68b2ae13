"""The texts of a planned batch.

Queries, passages, translations, hard negatives, lists for a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mixling.batches.negatives import Negatives
from mixling.batches.permutation import mix, pick_column
from mixling.batches.schedule import BatchPlan, Schedule
from mixling.batches.translation_groups import PairRows
from mixling.corpora.corpus import Corpus
from mixling.corpora.windows import cut_window, first_links


def _no_rows() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Batch:
    """The texts of a batch of n pairs.

    Attributes:
        queries: `[n]` texts.
        passages: `[n]` texts. Passage i answers query i.
        passage_titles: `[n]`, the title of each passage, if there is one.
        group: int64 `[n]`, the translation group of each pair. Pairs of one group are no negatives.
        query_languages: `[n]`, the language of each query.
        conflict_group: int64 `[n]`. Pairs of one conflict group are no negatives either.
        translations: `[k]` texts, the queries `translated` in another language.
        translated: int64 `[k]`, the pairs whose query has a translation.
        pivots: `[l]`, query and passage of the pairs `pivoted` in the language that a teacher
            reads.
        pivot_titles: `[l]`, the title of each passage of `pivots`.
        pivoted: int64 `[l]`, the pairs that have both texts in that language.
        negatives: `[m]` texts of hard negatives.
        negative_titles: `[m]`, the title of each hard negative.
        negative_of: int64 `[m]`, the pair that each hard negative was mined for.
        negative_conflict_group: int64 `[m]`, the conflict group of the queries that each hard
            negative would answer, -1 for none.
        lists: `[n]`, what a teacher of lists reads for each pair: the query, then the passage and
            the hard negatives, in the teacher's language where they exist in it.
        list_titles: `[n]`, the title of each passage of `lists`.
    """

    queries: list[str]
    passages: list[str]
    group: np.ndarray
    conflict_group: np.ndarray
    passage_titles: Sequence[str | None] = ()
    query_languages: Sequence[str] = ()
    translations: Sequence[str] = ()
    translated: np.ndarray = field(default_factory=_no_rows)
    pivots: Sequence[tuple[str, str]] = ()
    pivot_titles: Sequence[str | None] = ()
    pivoted: np.ndarray = field(default_factory=_no_rows)
    negatives: Sequence[str] = ()
    negative_titles: Sequence[str | None] = ()
    negative_of: np.ndarray = field(default_factory=_no_rows)
    negative_conflict_group: np.ndarray = field(default_factory=_no_rows)
    lists: Sequence[tuple[str, list[str]]] = ()
    list_titles: Sequence[list[str | None]] = ()


class PairTexts:
    """Turns the plans of a schedule into texts.

    Args:
        corpora: The corpora, in the order of the schedule's sources.
        schedule: The schedule.
        window: Characters of a passage, None for the whole passage.
        n_negatives: Hard negatives a pair.
        negatives_in: Which language hard negatives are in, see `mixling.batches.negatives`.
        every_language: Let a pair stand for all languages of its passages (round-robin entries of
            arXiv:2404.08118).
        titles: Let a model read a passage's title.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        schedule: Schedule,
        window: int | None,
        n_negatives: int = 0,
        negatives_in: Literal["mined", "pair", "any"] = "mined",
        every_language: bool = False,
        titles: bool = False,
    ):
        self.schedule, self.window = schedule, window
        self.n_negatives, self.negatives_in = n_negatives, negatives_in
        self.every_language = every_language
        sources = list(zip(corpora, schedule.sources, strict=True))
        self.rows = [PairRows(corpus, groups) for corpus, groups in sources]
        self.negatives = [Negatives(corpus, groups) for corpus, groups in sources if n_negatives]
        self.query_text = [c.queries["text"] for c in corpora]
        self.passage_text = [c.passages["text"] for c in corpora]
        self.title = [c.passages["title"] for c in corpora] if titles else []
        self.link_passage = [c.links["passage"].to_numpy() for c in corpora]
        self.link_span = [
            np.stack([c.links[k].fill_null(-1).to_numpy() for k in ("start", "end")], 1)
            for c in corpora
        ]
        self.first_link = [first_links(c) for c in corpora] if n_negatives else []

    def batch(
        self,
        plan: BatchPlan,
        translations: bool = False,
        pivot: str | None = None,
        list_language: str | None = None,
    ) -> Batch:
        """Return the texts of a plan.

        Args:
            plan: A batch of the schedule.
            translations: Add the queries' translations.
            pivot: Add both texts of each pair in this language.
            list_language: Add lists for a teacher that reads this language.
        """
        source = self.schedule.sources[plan.source]
        if self.every_language:
            plan = self._in_every_language(plan)
        query, link = self.rows[plan.source].pair_rows(
            plan.groups, plan.query_languages, plan.passage_languages, plan.visits
        )
        batch = Batch(
            self._queries(plan.source, query),
            self._linked_passages(plan.source, link),
            plan.groups,
            source.conflict_group[plan.groups],
            self._titles(plan.source, self.link_passage[plan.source][link]),
            [source.languages[i] for i in plan.query_languages],
        )
        if self.n_negatives:
            batch = self._with_negatives(batch, plan, query, link, list_language)
        if translations:
            translated, language = self._translated(plan)
            rows = self.rows[plan.source].query_rows(
                plan.groups[translated], language, plan.visits[translated]
            )
            texts = self._queries(plan.source, rows)
            batch = replace(batch, translations=texts, translated=translated)
        if pivot is not None and pivot in source.languages:
            batch = self._with_pivots(batch, plan, source.languages.index(pivot))
        return batch

    def _in_every_language(self, plan: BatchPlan) -> BatchPlan:
        """Repeat each group of a plan for every language that its passages are in."""
        has_passage = self.schedule.sources[plan.source].has_passage[plan.groups]
        pair, language = np.nonzero(has_passage)
        return replace(
            plan,
            groups=plan.groups[pair],
            query_languages=plan.query_languages[pair],
            passage_languages=language,
            visits=plan.visits[pair],
        )

    def _with_pivots(self, batch: Batch, plan: BatchPlan, pivot: int) -> Batch:
        """Add query and passage of the pairs that have both in the pivot language."""
        source, rows = self.schedule.sources[plan.source], self.rows[plan.source]
        in_pivot = (source.has_query & source.has_passage)[plan.groups, pivot]
        pivoted = np.flatnonzero(in_pivot)
        languages = np.full(len(pivoted), pivot)
        query, link = rows.pair_rows(
            plan.groups[pivoted], languages, languages, plan.visits[pivoted]
        )
        texts = zip(
            self._queries(plan.source, query), self._linked_passages(plan.source, link), strict=True
        )
        titles = self._titles(plan.source, self.link_passage[plan.source][link])
        return replace(batch, pivots=list(texts), pivot_titles=titles, pivoted=pivoted)

    def _with_negatives(
        self,
        batch: Batch,
        plan: BatchPlan,
        query: np.ndarray,
        link: np.ndarray,
        list_language: str | None,
    ) -> Batch:
        """Add hard negatives, and lists for a teacher."""
        s = plan.source
        negatives = self.negatives[s]
        pair, passage = negatives.negatives_of(
            query,
            batch.conflict_group,
            plan.passage_languages,
            plan.visits,
            self.n_negatives,
            self.negatives_in,
            self.schedule.seed,
        )
        batch = replace(
            batch,
            negatives=self._passages(s, passage),
            negative_titles=self._titles(s, passage),
            negative_of=pair,
            negative_conflict_group=negatives.conflict_group[passage],
        )
        if list_language is None:
            return batch
        source, positive = self.schedule.sources[s], self.link_passage[s][link]
        if list_language in source.languages:
            code = source.languages.index(list_language)
            has_query = source.has_query[plan.groups, code]
            languages = np.where(has_query, code, plan.query_languages)
            query = self.rows[s].query_rows(plan.groups, languages, plan.visits)
            positive = negatives.in_language(positive, code)
            passage = negatives.in_language(passage, code)
        passages = [[text] for text in self._passages(s, positive)]
        titles = [[title] for title in self._titles(s, positive)]
        for i, text, title in zip(
            pair, self._passages(s, passage), self._titles(s, passage), strict=True
        ):
            passages[i].append(text)
            titles[i].append(title)
        lists = list(zip(self._queries(s, query), passages, strict=True))
        return replace(batch, lists=lists, list_titles=titles)

    def _translated(self, plan: BatchPlan) -> tuple[np.ndarray, np.ndarray]:
        """Choose another language for each query, by a hash of group, language and visit.

        A query in one language only is left out.

        Returns:
            The pairs, int64 `[k]`, and the language of each, int64 `[k]`.
        """
        has_query = self.schedule.sources[plan.source].has_query[plan.groups].copy()
        has_query[np.arange(len(has_query)), plan.query_languages] = False
        pairs = np.flatnonzero(has_query.any(1))
        key = mix(
            self.schedule.seed, plan.groups[pairs], plan.query_languages[pairs], plan.visits[pairs]
        )
        return pairs, pick_column(has_query[pairs], key)

    def _queries(self, s: int, rows: np.ndarray) -> list[str]:
        """Return queries of source `s`."""
        return [self.query_text[s][int(i)].as_py() for i in rows]

    def _linked_passages(self, s: int, links: np.ndarray) -> list[str]:
        """Return the passages of links, each a window around the answer of its link."""
        return [self._cut(s, int(self.link_passage[s][i]), self.link_span[s][i]) for i in links]

    def _passages(self, s: int, rows: np.ndarray) -> list[str]:
        """Return passages, each a window around its first known answer."""
        unknown = np.array([-1, -1])
        links = self.first_link[s][rows]
        spans = [self.link_span[s][i] if i >= 0 else unknown for i in links]
        return [self._cut(s, int(row), span) for row, span in zip(rows, spans, strict=True)]

    def _titles(self, s: int, rows: np.ndarray) -> list[str | None]:
        """Return the titles of passages, None where there is none or titles are not read."""
        if not self.title:
            return [None] * len(rows)
        return [self.title[s][int(row)].as_py() for row in rows]

    def _cut(self, s: int, row: int, span: np.ndarray) -> str:
        """Cut a passage to the window around a span of characters (-1: its start)."""
        text: str = self.passage_text[s][row].as_py()
        if self.window is None:
            return text
        return cut_window(text, int(span[0]), int(span[1]), self.window)
