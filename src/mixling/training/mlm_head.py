"""Masked language modeling: a head over the subwords of the bitext, and its loss.

A masked subword is predicted among the subwords of the bitext, not among the whole vocabulary. The
right one is always among them, it costs a tenth, and subwords of other languages are not pushed
away. For the same reason random replacements are drawn from them, which transformers'
DataCollatorForLanguageModeling, drawing from the whole vocabulary, cannot do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mixling.models.retriever import Retriever
from mixling.models.vocabulary import mask_token, mask_tokens
from mixling.training.bitext import SentencePair


class MLMHead(nn.Module):
    """Scores of masked subwords: BERT's head, tied to some rows of the embedding table.

    Args:
        hidden: Size of the encoder's states.
        subwords: The subwords that are scored, int64 `[n_subwords]`, sorted.
    """

    def __init__(self, hidden: int, subwords: np.ndarray):
        super().__init__()
        self.dense, self.norm = nn.Linear(hidden, hidden), nn.LayerNorm(hidden)
        self.bias = nn.Parameter(torch.zeros(len(subwords)))
        self.subwords: Tensor
        self.register_buffer("subwords", torch.from_numpy(subwords))

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """Score the subwords.

        Args:
            states: The encoder's states of masked tokens, float `[n, hidden]`.
            embeddings: The embedding table, float `[vocabulary, hidden]`.

        Returns:
            Scores, float `[n, n_subwords]`.
        """
        transformed = self.norm(nn.functional.gelu(self.dense(states)))
        scores: Tensor = transformed @ embeddings[self.subwords].T + self.bias
        return scores


@dataclass(frozen=True)
class Masking:
    """The masking of texts.

    Attributes:
        mask: Id of the mask token.
        special: Ids of special tokens, which are never masked.
        subwords: The subwords of the bitext, int64 `[n_subwords]`, sorted.
    """

    mask: int
    special: frozenset[int]
    subwords: np.ndarray


def make_masking(retriever: Retriever, pairs: Sequence[SentencePair], masks: bool) -> Masking:
    """Collect the subwords of sentence pairs.

    Args:
        retriever: Its tokenizer cuts the sentences.
        pairs: The sentence pairs.
        masks: Whether anything will be masked. If not, the tokenizer needs no mask token.

    Raises:
        MixlingError: The tokenizer has no mask token.
    """
    texts = list(dict.fromkeys(text for p in pairs for text in (p.text, p.other)))
    special = frozenset(retriever.tokenizer.all_special_ids)
    seen = {t for ids in retriever.tokenize(texts) for t in ids}
    mask = mask_token(retriever.tokenizer) if masks else 0
    return Masking(mask, special, np.array(sorted(seen - special)))


def masked_loss(
    retriever: Retriever,
    head: MLMHead,
    pairs: Sequence[SentencePair],
    objective: Literal["mlm", "tlm"],
    masking: Masking,
    random: np.random.Generator,
) -> Tensor:
    """Compute the cross entropy of masked subwords.

    Args:
        retriever: The model that is trained.
        head: Scores the subwords.
        pairs: The sentence pairs of the step.
        objective: "mlm" reads each sentence alone; "tlm" (arXiv:1901.07291) reads it with its
            translation.
        masking: What is masked, and by what.
        random: Draws the masked places.

    Returns:
        The loss, a scalar.
    """
    max_length = retriever.max_length // 2
    texts = retriever.tokenize([p.text for p in pairs], None, max_length)
    if objective == "tlm":
        translations = retriever.tokenize([p.other for p in pairs], None, max_length)
        # the translation follows without its first special token
        texts = [a + b[1:] for a, b in zip(texts, translations, strict=True)]
    masked = [
        mask_tokens(ids, masking.special, masking.mask, masking.subwords, random) for ids in texts
    ]
    states: list[Tensor] = []
    retriever.embed([ids for ids, _ in masked], 4096, states)
    places = [positions for _, positions in masked]
    device = states[0].device
    masked_states = torch.cat(
        [s[torch.from_numpy(p).to(s.device)] for s, p in zip(states, places, strict=True)]
    )
    originals = np.concatenate([np.array(ids)[p] for ids, p in zip(texts, places, strict=True)])
    embeddings = retriever.encoder.get_input_embeddings().weight
    target = torch.from_numpy(np.searchsorted(masking.subwords, originals)).to(device)
    return nn.functional.cross_entropy(head(masked_states, embeddings).float(), target)
