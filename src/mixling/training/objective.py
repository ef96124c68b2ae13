"""The objective of a run: a contrastive loss and further terms by weight, of one batch's vectors.

Vectors come in the order of `columns`: questions, passages, hard negatives, and the questions' translations where a term
reads them. What a teacher says of a batch is encoded when the batch's loss is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from mixling.corpora.languages import tag
from mixling.errors import MixlingError
from mixling.models.reranker import Reranker, is_reranker
from mixling.models.retriever import Retriever
from mixling.training.config import Config, TermConfig
from mixling.training.objectives import alignment, distillation
from mixling.training.objectives.eq1 import eq1
from mixling.training.objectives.info_nce import allowed, info_nce, similarity
from mixling.training.objectives.transport import transport
from mixling.training.pairs import Batch, Pairs

TRANSLATED = ("lakda", "jsd", "bitext", "clear", "distil-vectors", "optical")
# these read questions and their translations alone
WITHOUT_PASSAGES = ("jsd", "bitext", "distil-vectors", "optical")
TAUGHT = ("optical", "distil-vectors", "distil-cosine", "distil-scores", "margin-mse")


class Objective(nn.Module):
    """What a run minimises. Its own weights are the projections of `distil-cosine`, dropped after training.

    Raises MixlingError when a teacher cannot be had or its vectors do not fit a term.
    """

    def __init__(self, settings: Config, retriever: Retriever):
        super().__init__()
        self.settings, self.kind = settings.objective, retriever.similarity
        self.passages = self.settings.weight > 0 or any(
            t.name not in WITHOUT_PASSAGES for t in self.settings.terms
        )
        self.translations = any(t.name in TRANSLATED for t in self.settings.terms)
        self.pivot = _one_pivot(t for t in self.settings.terms if t.name == "distil-cosine")
        names = {t.teacher or settings.model.name for t in self.settings.terms if t.name in TAUGHT}
        self.device = device = str(next(retriever.model.parameters()).device)
        m = settings.model
        more = {"pooling": m.pooling, "prompts": m.prompts, "similarity": m.similarity}
        self.own = settings.model.name
        trust = m.trust_remote_code
        self.teachers: dict[str, Retriever | Reranker] = {
            n: Reranker(n, device, trust)
            if n != self.own and is_reranker(n, trust)
            else Retriever(n, device=device, trust_remote_code=trust, **(more if n == self.own else {}))  # type: ignore[arg-type]
            for n in names
        }
        self.lists = _one_pivot(t for t in self.settings.terms if self._by_list(t))
        for term in self.settings.terms:
            if term.name in ("optical", "distil-vectors"):
                size = self._teacher(term).dimensions
                if size != retriever.dimensions:
                    raise MixlingError(
                        f"objective.terms: {term.name} compares vectors of one size, but the teacher's have {size} numbers "
                        f"and the model's {retriever.dimensions}; take distil-cosine, which projects, or another teacher"
                    )
        self.projections = nn.ModuleList(
            _projection(retriever.dimensions, self._teacher(t).dimensions)
            if t.name == "distil-cosine"
            else nn.Identity()
            for t in self.settings.terms
        )
        self.to(device)

    def _teacher(self, term: TermConfig) -> Retriever:
        found = self.teachers[term.teacher or self.own]
        if isinstance(found, Reranker):
            raise MixlingError(
                f"objective.terms: {term.name} wants vectors, and {found.name} is a cross-encoder, which has none; take "
                "distil-scores or margin-mse"
            )
        return found

    def _by_list(self, term: TermConfig) -> bool:
        """Whether a term's teacher scores a pair's own passage and hard negatives, and not the batch's."""
        if term.name not in ("distil-scores", "margin-mse"):
            return False
        return term.over == "list" or isinstance(self.teachers[term.teacher or self.own], Reranker)

    def check(self, pairs: Pairs) -> None:
        """Whether the sources hold what the terms read. Raises MixlingError."""
        sources = pairs.schedule.sources
        known = ", ".join(f"{u.name} ({' '.join(u.languages)})" for u in sources)
        both = [(u.questions & u.passages).any(0) for u in sources]
        if self.pivot is not None and not any(
            self.pivot in u.languages and has[u.languages.index(self.pivot)]
            for u, has in zip(sources, both, strict=True)
        ):
            raise MixlingError(
                f"objective.terms: distil-cosine reads both texts in '{self.pivot}', and no source has such pairs: {known}; "
                "set the term's pivot to a language that has them"
            )
        if self.lists is not None and not pairs.count:
            raise MixlingError(
                "objective.terms: a teacher of lists scores hard negatives, and there are none; set batches.negatives "
                "(arXiv:2404.08118 has 5) and take a source that has them (`mixling mine`)"
            )
        if self.translations and not any((u.questions.sum(1) > 1).any() for u in sources):
            wanted = ", ".join(t.name for t in self.settings.terms if t.name in TRANSLATED)
            raise MixlingError(
                f"objective.terms: {wanted} read a question in two languages, and no source has one: {known}; add a "
                "parallel source"
            )

    def columns(self, batch: Batch) -> list[tuple[str, list[str]]]:
        """(role, texts) of what the model is to encode: no passages where nothing reads them."""
        found = [("query", batch.questions)]
        if self.passages:
            found += [("passage", batch.passages), ("passage", list(batch.negatives))]
        if self.translations:
            found.append(("query", list(batch.translations)))
        return found

    def _begin(self, batch: Batch) -> int:
        """How many texts stand before the translations."""
        n = len(batch.questions)
        return 2 * n + len(batch.negatives) if self.passages else n

    def of(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        """The loss of a batch as a function of its vectors, [texts, d] in the order of `columns`."""
        o, n, begin = self.settings, len(batch.questions), self._begin(batch)
        group, block, wrong = (torch.from_numpy(x) for x in (batch.group, batch.block, batch.negative_block))
        may = torch.cat([allowed(group, block), block[:, None] != wrong[None, :]], 1)
        said = [self._said(t, batch) for t in o.terms]

        def loss(vectors: Tensor) -> Tensor:
            q, p, translations = vectors[:n], vectors[n:begin], vectors[begin:]
            negatives = (
                may.to(vectors.device) if self.passages else may.new_zeros(n, 0, device=vectors.device)
            )
            if not o.weight:
                value = q.sum() * 0
            elif o.name == "info-nce":
                value = info_nce(q, p, negatives, o.temperature, self.kind, o.symmetric)
            else:
                value = eq1(q, p, negatives, o.temperature, self.kind, o.name == "eq1-all-positives")
            value = value * o.weight
            for term, projection, teacher in zip(o.terms, self.projections, said, strict=True):
                value = value + term.weight * self._term(
                    term, projection, teacher, batch, q, p, translations, negatives
                )
            return value

        return loss

    def local(self, batch: Batch) -> Callable[[list[int], list[Tensor]], Tensor] | None:
        """What adds up over texts: OPTICAL's transport from the teacher's tokens of a question to the student's of its
        translation, the mean over translations. Takes texts' numbers (in the order of `columns`) and their tokens' states.
        """
        terms = [t for t in self.settings.terms if t.name == "optical"]
        if not terms or not len(batch.translated):
            return None
        begin = self._begin(batch)
        said = [self._states(t, [batch.questions[i] for i in batch.translated]) for t in terms]

        def loss(texts: list[int], states: list[Tensor]) -> Tensor:
            some = [(i - begin, k) for k, i in enumerate(texts) if i >= begin]
            if not some:
                return torch.zeros((), device=states[0].device)
            student, columns = _padded([states[k] for _, k in some])
            total = torch.zeros((), device=student.device)
            for term, teacher in zip(terms, said, strict=True):
                theirs, rows = _padded([teacher[i] for i, _ in some])
                total = total + term.weight * transport(
                    theirs, student, rows, columns, term.epsilon
                ).sum() / len(batch.translated)
            return total

        return loss

    def _states(self, term: TermConfig, questions: list[str]) -> list[Tensor]:
        """The teacher's states of each question's tokens."""
        teacher, states = self._teacher(term), list[Tensor]()
        with torch.no_grad():
            teacher.embed(teacher.tokenize(questions, "query"), None, states)
        return states

    def _said(self, term: TermConfig, batch: Batch) -> list[Tensor]:
        """What the teacher gives a term: vectors of questions, or of both texts."""
        if term.name not in TAUGHT or term.name == "optical":
            return []
        if self._by_list(term):
            return [self._listed(term, batch)]
        teacher = self._teacher(term)
        if term.name in ("distil-scores", "margin-mse"):
            q, p = (
                torch.from_numpy(teacher.encode(x, role)).to(self.device)
                for role, x in (("query", batch.questions), ("passage", [*batch.passages, *batch.negatives]))
            )
            return [similarity(q, p, teacher.similarity)]
        texts = (
            [batch.questions]
            if term.name == "distil-vectors"
            else [list(x) for x in zip(*batch.pivots, strict=True)]
        )
        return [
            torch.from_numpy(teacher.encode(x, role)).to(self.device)
            for role, x in zip(("query", "passage"), texts, strict=False)
        ]

    def _listed(self, term: TermConfig, batch: Batch) -> Tensor:
        """A teacher's scores of each pair's own passage and hard negatives, [n, n + m]; elsewhere 0."""
        n, m = len(batch.questions), len(batch.negatives)
        teacher = self.teachers[term.teacher or self.own]
        pairs = [(q, text) for q, texts in batch.lists for text in texts]
        if isinstance(teacher, Reranker):
            flat = torch.from_numpy(teacher.scores(pairs))
        else:
            q, p = (
                torch.from_numpy(teacher.encode(list(x), role))
                for role, x in zip(("query", "passage"), zip(*pairs, strict=True), strict=True)
            )
            if teacher.similarity == "cosine":
                q, p = (torch.nn.functional.normalize(x, dim=1) for x in (q, p))
            flat = (q * p).sum(1)
        scores = torch.zeros(n, n + m)
        scores[_own(batch)] = flat  # row by row: a pair's passage, then its negatives
        return scores.to(self.device)

    def _term(
        self,
        term: TermConfig,
        projection: nn.Module,
        said: list[Tensor],
        batch: Batch,
        q: Tensor,
        p: Tensor,
        translations: Tensor,
        negatives: Tensor,
    ) -> Tensor:
        has, n = torch.from_numpy(batch.translated).to(q.device), len(q)
        keep = negatives | torch.eye(n, len(p), dtype=torch.bool, device=q.device)
        nothing = q.sum() * 0
        if term.name == "optical":
            return nothing
        match term.name:
            case "distil-scores" | "margin-mse":
                scores = similarity(q, p, self.kind)
                if self._by_list(term):
                    keep = _own(batch).to(q.device)
                    negatives = keep & ~torch.eye(n, len(p), dtype=torch.bool, device=q.device)
                if term.name == "margin-mse":
                    return distillation.margins(scores, said[0], negatives)
                return distillation.scores(scores, said[0], keep, term.temperature)
            case "distil-cosine":
                if not said:
                    return nothing
                rows = torch.from_numpy(batch.pivoted).to(q.device)
                return sum(
                    (distillation.cosine(projection(x[rows]), t) for x, t in zip((q, p[:n]), said, strict=True)), nothing
                ) / 2  # fmt: skip
            case "distil-vectors":
                texts, theirs = torch.cat([q, translations]), torch.cat([said[0], said[0][has]])
                return distillation.vectors(texts, theirs)
        if not len(has):
            return nothing
        match term.name:
            case "lakda":
                return alignment.lakda(q[has], translations, p, keep[has], self.kind)
            case "jsd":
                return alignment.jsd(q[has], translations)
            case "bitext":
                return alignment.bitext(q[has], translations, term.temperature, self.kind)
        return alignment.clear(
            q[has], translations, p[:n][has], keep[has][:, has], term.temperature, self.kind
        )


def _one_pivot(terms: Iterable[TermConfig]) -> str | None:
    """The language that some terms' teachers read, None if there are no terms. Raises MixlingError if there are several."""
    found = {tag(t.pivot) for t in terms}
    if len(found) > 1:
        raise MixlingError(
            f"objective.terms: teachers read one language in a run, not {' and '.join(sorted(found))}; give all terms one pivot"
        )
    return found.pop() if found else None


def _own(batch: Batch) -> Tensor:
    """Each pair's own passage and hard negatives: bool [n, n + m]."""
    n = len(batch.questions)
    own = torch.from_numpy(batch.negative_of)[None, :] == torch.arange(n)[:, None]
    return torch.cat([torch.eye(n, dtype=torch.bool), own], 1)


def _padded(states: list[Tensor]) -> tuple[Tensor, Tensor]:
    """[texts, longest, d] and which tokens count: not the first and the last, which are the tokeniser's, if there are
    more than two."""
    inner = [x[1:-1] if len(x) > 2 else x for x in states]
    whole = torch.nn.utils.rnn.pad_sequence(inner, batch_first=True)
    lengths = torch.tensor([len(x) for x in inner], device=whole.device)
    return whole, torch.arange(whole.shape[1], device=whole.device) < lengths[:, None]


def _projection(size: int, teacher: int) -> nn.Linear:
    """Student to teacher; where both are of one size it starts as nothing at all."""
    made = nn.Linear(size, teacher)
    if size == teacher:
        with torch.no_grad():
            made.weight.copy_(torch.eye(size))
            made.bias.zero_()
    return made
