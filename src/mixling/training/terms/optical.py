"""The term `optical`: optimal transport from a teacher's tokens of a query to the model's of its translation."""

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
        """The teacher's token states of each translated query, `[tokens, dim]` each."""
        states = list[Tensor]()
        queries = [batch.queries[i] for i in batch.translated]
        with torch.no_grad():
            self.retriever.embed(self.retriever.tokenize(queries, "query"), None, states)
        return states

    def token_loss(
        self, states: list[Tensor], translations: list[int], targets: list[Tensor]
    ) -> Tensor:
        """Transport cost of some translations, divided by the number of all of the batch."""
        student, columns = _padded(states)
        teacher, rows = _padded([targets[i] for i in translations])
        cost = transport_cost(teacher, student, rows, columns, self.config.epsilon)
        return cost.sum() / len(targets)


def _padded(states: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad token states to `[texts, longest, dim]`, with the mask of tokens that count.

    The first and the last token are the tokenizer's own and are left out where a text has more than two.
    """
    inner = [x[1:-1] if len(x) > 2 else x for x in states]
    padded = torch.nn.utils.rnn.pad_sequence(inner, batch_first=True)
    lengths = torch.tensor([len(x) for x in inner], device=padded.device)
    return padded, torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
