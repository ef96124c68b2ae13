"""The term `optical`: optimal transport between the tokens of a query and of its translation."""

from __future__ import annotations

import torch
from torch import Tensor

from mixling.losses.transport import transport_cost
from mixling.training.pairs import Batch
from mixling.training.terms.term import TokenTerm


class Optical(TokenTerm):
    """OPTICAL (arXiv:2301.12566): mean transport cost over the batch's translations."""

    needs_translations = True
    needs_passages = False
    needs_teacher = True
    needs_same_size = True

    def teacher_targets(self, batch: Batch, device: str) -> list[Tensor]:
        """Return the teacher's token states of each translated query, float `[n_tokens, dim]`."""
        states = list[Tensor]()
        queries = [batch.queries[i] for i in batch.translated]
        with torch.no_grad():
            self.retriever.embed(self.retriever.tokenize(queries, "query"), None, states)
        return states

    def token_loss(
        self, states: list[Tensor], translations: list[int], targets: list[Tensor]
    ) -> Tensor:
        """Return the cost of these translations, divided by the number of all translations."""
        student, columns = _padded(states)
        teacher, rows = _padded([targets[i] for i in translations])
        cost = transport_cost(teacher, student, rows, columns, self.config.epsilon)
        return cost.sum() / len(targets)


def _padded(states: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad token states.

    The first and the last token are special tokens. They are left out if a text has more than two.

    Returns:
        States, float `[n_texts, longest, dim]`, and which of them are tokens, bool
        `[n_texts, longest]`.
    """
    inner = [x[1:-1] if len(x) > 2 else x for x in states]
    padded = torch.nn.utils.rnn.pad_sequence(inner, batch_first=True)
    lengths = torch.tensor([len(x) for x in inner], device=padded.device)
    return padded, torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
