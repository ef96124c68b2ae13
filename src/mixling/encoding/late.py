"""Late interaction: a vector for each token, texts compared by MaxSim, exactly.

    s(q, d) = mean over the tokens of q of the largest cosine with a token of d

(ColBERT, arXiv:2004.12832, whose sum is our mean times the question's tokens: the same order.) Tokens that the
tokenizer puts round a text do not count, nor does the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mixling.corpora.files import explain_read_errors
from mixling.disk import new_file
from mixling.errors import MixlingError, check_finite_vectors
from mixling.models.forward import batches_by_tokens, token_budgets
from mixling.models.precision import Precision, choose_precision
from mixling.models.retriever import Retriever

SCORES = 1 << 25  # of a block: 128 MB


def token_vectors(
    retriever: Retriever,
    texts: Sequence[str],
    role: str | None,
    *,
    precision: Precision = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of all texts' tokens, float32 [tokens, d], and where each text begins, int64 [texts + 1].

    A text keeps one token at least. progress(tokens done, tokens in all).
    """
    tokens = retriever.tokenize(texts, role)
    prompt = (
        len(retriever.tokenize([retriever.prompt(role).rstrip()])[0]) - 2
        if retriever.prompt(role)
        else 0
    )
    lengths = [len(t) for t in tokens]
    parts: list[np.ndarray] = [np.zeros((0, 0), np.float32)] * len(tokens)
    bf16 = choose_precision(retriever.device, precision) == "bf16"
    done = 0
    with (
        torch.inference_mode(),
        torch.autocast(retriever.device.type, torch.bfloat16, enabled=bf16),
    ):
        for indices in batches_by_tokens(
            lengths, token_budgets(retriever.device).token_vectors, True
        ):
            states: list[torch.Tensor] = []
            retriever.embed([tokens[i] for i in indices], None, states)
            for i, x in zip(indices, states, strict=True):
                inner = x[1 + prompt : -1] if len(x) > 2 + prompt else x[:1]
                check_finite_vectors(
                    inner.float().cpu().numpy(), lambda _, i=i: repr(texts[i][:60]), retriever.name
                )  # type: ignore[misc]
                parts[i] = torch.nn.functional.normalize(inner.float(), dim=1).cpu().numpy()
            done += sum(lengths[i] for i in indices)
            if progress is not None:
                progress(done, sum(lengths))
    begins = np.cumsum([0, *(len(p) for p in parts)])
    return (
        np.concatenate(parts) if parts else np.zeros((0, retriever.dimensions), np.float32)
    ), begins


@dataclass(frozen=True)
class TokenIndex:
    """Documents as token vectors. vectors: float32 or float16 [tokens, d]; begins: int64 [documents + 1]."""

    ids: list[str]
    vectors: np.ndarray
    begins: np.ndarray

    def scores(self, queries: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """MaxSim of queries (token vectors, as `token_vectors` gives them) with all documents: float32 [q, n]."""
        return maxsim(queries, begins, self.vectors, self.begins)

    def search(
        self, retriever: Retriever, texts: Sequence[str], k: int = 10
    ) -> list[list[tuple[str, float]]]:
        """The best k documents of each question, exactly: (id, score), equal scores in the documents' order."""
        vectors, begins = token_vectors(retriever, texts, "query")
        if vectors.shape[1] != self.vectors.shape[1]:
            raise MixlingError(
                f"the questions' vectors have {vectors.shape[1]} numbers and the index' {self.vectors.shape[1]}: "
                "take the model that made it, or one trained from that"
            )
        found = []
        for row in self.scores(vectors, begins):
            best = np.argsort(-row, kind="stable")[:k]
            found.append([(self.ids[i], float(row[i])) for i in best])
        return found

    def save(self, path: str | Path) -> None:
        """Write one .npz file (complete or not at all)."""
        path = Path(path)
        with new_file(path) as temporary, temporary.open("wb") as out:
            np.savez(out, ids=np.array(self.ids), vectors=self.vectors, begins=self.begins)

    @staticmethod
    def load(path: str | Path) -> TokenIndex:
        """Read what `save` wrote."""
        with explain_read_errors(path), np.load(path, allow_pickle=False) as kept:
            made = TokenIndex(kept["ids"].tolist(), kept["vectors"], kept["begins"])
        of = lambda row: f"'{made.ids[int(np.searchsorted(made.begins, row, 'right')) - 1]}'"  # noqa: E731
        check_finite_vectors(made.vectors, of, str(path))
        return made

    @staticmethod
    def build(
        retriever: Retriever, ids: Sequence[str], texts: Sequence[str], dtype: str = "float16"
    ) -> TokenIndex:
        """The index of some documents. dtype: of the stored vectors."""
        vectors, begins = token_vectors(retriever, texts, "passage")
        return TokenIndex(list(ids), vectors.astype(dtype), begins)


def maxsim(
    queries: np.ndarray, q_begins: np.ndarray, documents: np.ndarray, d_begins: np.ndarray
) -> np.ndarray:
    """MaxSim of all pairs, float32 [q, n]; a block of documents at a time."""
    q = torch.from_numpy(np.ascontiguousarray(queries, np.float32)).T
    lengths = torch.from_numpy(np.diff(q_begins))
    of = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    out = np.empty((len(q_begins) - 1, len(d_begins) - 1), np.float32)
    each = max(1, SCORES // max(q.shape[1], 1))
    begin = 0
    while begin < out.shape[1]:
        end = int(max(np.searchsorted(d_begins, d_begins[begin] + each, "right") - 1, begin + 1))
        part = (
            torch.from_numpy(np.asarray(documents[d_begins[begin] : d_begins[end]], np.float32)) @ q
        )
        best = torch.segment_reduce(
            part, "max", lengths=torch.from_numpy(np.diff(d_begins[begin : end + 1]))
        )
        total = torch.zeros(len(lengths), end - begin).index_add_(0, of, best.T)
        out[:, begin:end] = (total / lengths[:, None]).numpy()
        begin = end
    return out
