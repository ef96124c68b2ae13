"""Late interaction: a vector for each token; MaxSim compares texts exactly.

    s(q, d) = mean over the tokens of q of the largest cosine with a token of d

ColBERT (arXiv:2004.12832) takes the sum over the query's tokens, which orders documents in the same
way. The special tokens of the tokenizer and the prompt do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mixling.corpora.files import explain_read_errors
from mixling.disk import new_file
from mixling.errors import MixlingError, check_finite_vectors
from mixling.models.forward import batches_by_tokens, token_budgets
from mixling.models.precision import Precision, choose_precision
from mixling.models.prompts import input_parts
from mixling.models.retriever import Retriever

SCORES = 1 << 25  # token scores in memory at a time, float32: 128 MB


def token_vectors(
    retriever: Retriever,
    texts: Sequence[str],
    role: str | None,
    *,
    titles: Sequence[str | None] | None = None,
    precision: Precision = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Encode texts as one unit vector for each token.

    Args:
        retriever: The model.
        texts: The texts. A text without tokens of its own keeps its first special token.
        role: "query", "passage" or None; its prompt comes before a text.
        titles: Titles of the texts, which the model reads in its own way.
        precision: Number format to compute in.
        progress: Called as `progress(tokens_done, tokens_in_all)`.

    Returns:
        Vectors, float32 `[n_tokens, dim]`, and the row at which each text begins, int64
        `[n_texts + 1]`; the last entry is `n_tokens`.
    """
    tokens = retriever.tokenize(texts, role, titles=titles)
    prompt_lengths = _prompt_lengths(retriever, role, titles, len(texts))
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
                prompt = prompt_lengths[i]
                inner = x[1 + prompt : -1] if len(x) > 2 + prompt else x[:1]
                start = repr(texts[i][:60])
                check_finite_vectors(
                    inner.float().cpu().numpy(), partial(_same_name, start), retriever.name
                )
                parts[i] = torch.nn.functional.normalize(inner.float(), dim=1).cpu().numpy()
            done += sum(lengths[i] for i in indices)
            if progress is not None:
                progress(done, sum(lengths))
    begins = np.cumsum([0, *(len(p) for p in parts)])
    return (
        np.concatenate(parts) if parts else np.zeros((0, retriever.dimensions), np.float32)
    ), begins


def _prompt_lengths(
    retriever: Retriever, role: str | None, titles: Sequence[str | None] | None, n_texts: int
) -> list[int]:
    """Return the tokens of the prompt before each text; a title in the prompt counts as text."""
    usual = retriever.prompt(role)
    form = retriever.settings.titles.value
    prompts = [
        usual if input_parts(usual, form, "", title)[0] == usual else form.partition("{title}")[0]
        for title in (titles if titles is not None else [None] * n_texts)
    ]
    lengths = {
        prompt: len(retriever.tokenize([prompt.rstrip()])[0]) - 2 if prompt else 0
        for prompt in set(prompts)
    }
    return [lengths[prompt] for prompt in prompts]


def _same_name(name: str, _: int) -> str:
    """Return the name of a text for any of its tokens."""
    return name


@dataclass(frozen=True)
class TokenIndex:
    """Documents as token vectors, searched exactly.

    Args:
        ids: Ids of the documents.
        vectors: float32 or float16 `[n_tokens, dim]`.
        begins: int64 `[n_documents + 1]`, the row at which each document begins.

    Example:
        >>> index = TokenIndex.build(retriever, ["a", "b"], ["A stone bridge.", "Fresh bread."])
        >>> index.search(retriever, ["Where is the bridge?"], k=1)
        [[('a', 0.81)]]
    """

    ids: list[str]
    vectors: np.ndarray
    begins: np.ndarray

    def scores(self, queries: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """Compute the MaxSim of queries with all documents.

        Args:
            queries: Token vectors of the queries, as `token_vectors` returns them.
            begins: int64 `[n_queries + 1]`, the row at which each query begins.

        Returns:
            float32 `[n_queries, n_documents]`.
        """
        return maxsim(queries, begins, self.vectors, self.begins)

    def search(
        self, retriever: Retriever, texts: Sequence[str], k: int = 10
    ) -> list[list[tuple[str, float]]]:
        """Find the best documents of each query.

        Args:
            retriever: The model that made the index, or one with vectors comparable to its.
            texts: The queries.
            k: Number of documents a query.

        Returns:
            `(id, score)` of the `k` best documents for each query, best first; documents of equal
            score stay in the index's order.

        Raises:
            MixlingError: The vectors of the model and the index differ in size.
        """
        vectors, begins = token_vectors(retriever, texts, "query")
        if vectors.shape[1] != self.vectors.shape[1]:
            raise MixlingError(
                f"the vectors of the queries have {vectors.shape[1]} numbers, but those of the "
                f"index have {self.vectors.shape[1]}. Use the model that made the index, or one "
                "trained from it."
            )
        hits = []
        for row in self.scores(vectors, begins):
            best = np.argsort(-row, kind="stable")[:k]
            hits.append([(self.ids[i], float(row[i])) for i in best])
        return hits

    def save(self, path: str | Path) -> None:
        """Write the index as one .npz file, complete or not at all.

        Args:
            path: The file.
        """
        path = Path(path)
        with new_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, ids=np.array(self.ids), vectors=self.vectors, begins=self.begins)

    @staticmethod
    def load(path: str | Path) -> TokenIndex:
        """Read an index that `save` wrote.

        Args:
            path: The file.

        Returns:
            The index.

        Raises:
            MixlingError: The file cannot be read, or a vector holds NaN or infinity.
        """
        with explain_read_errors(path), np.load(path, allow_pickle=False) as arrays:
            index = TokenIndex(arrays["ids"].tolist(), arrays["vectors"], arrays["begins"])

        def document(row: int) -> str:
            return f"'{index.ids[int(np.searchsorted(index.begins, row, 'right')) - 1]}'"

        check_finite_vectors(index.vectors, document, str(path))
        return index

    @staticmethod
    def build(
        retriever: Retriever, ids: Sequence[str], texts: Sequence[str], dtype: str = "float16"
    ) -> TokenIndex:
        """Encode documents and index them.

        Args:
            retriever: The model.
            ids: Ids of the documents.
            texts: Texts of the documents.
            dtype: Number format of the stored vectors, "float16" or "float32".

        Returns:
            The index.
        """
        vectors, begins = token_vectors(retriever, texts, "passage")
        return TokenIndex(list(ids), vectors.astype(dtype), begins)


def maxsim(
    queries: np.ndarray,
    query_begins: np.ndarray,
    documents: np.ndarray,
    document_begins: np.ndarray,
) -> np.ndarray:
    """Compute the MaxSim of all pairs of a query and a document.

    Args:
        queries: float `[n_query_tokens, dim]`, unit vectors.
        query_begins: int64 `[n_queries + 1]`, the row at which each query begins.
        documents: float `[n_document_tokens, dim]`, unit vectors.
        document_begins: int64 `[n_documents + 1]`, the row at which each document begins.

    Returns:
        float32 `[n_queries, n_documents]`.
    """
    q = torch.from_numpy(np.ascontiguousarray(queries, np.float32)).T
    lengths = torch.from_numpy(np.diff(query_begins))
    query_of_token = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    scores = np.empty((len(query_begins) - 1, len(document_begins) - 1), np.float32)
    max_tokens = max(1, SCORES // max(q.shape[1], 1))
    begin = 0
    while begin < scores.shape[1]:
        # as many whole documents as memory holds, one at least
        limit = np.searchsorted(document_begins, document_begins[begin] + max_tokens, "right") - 1
        end = int(max(limit, begin + 1))
        tokens = documents[document_begins[begin] : document_begins[end]]
        cosines = torch.from_numpy(np.asarray(tokens, np.float32)) @ q
        document_lengths = torch.from_numpy(np.diff(document_begins[begin : end + 1]))
        best = torch.segment_reduce(cosines, "max", lengths=document_lengths)
        total = torch.zeros(len(lengths), end - begin).index_add_(0, query_of_token, best.T)
        scores[:, begin:end] = (total / lengths[:, None]).numpy()
        begin = end
    return scores
