"""Find out by a trial whether an encoder can take packed texts (`mixling.models.packed`)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mixling.models.packed import NAME, UnpackableError, attention, packed_row
from mixling.models.stored import learned_positions

logger = logging.getLogger(__name__)

# largest relative difference of packed and padded vectors, by the number format of the computation
TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 4e-3, torch.float32: 1e-4, torch.float64: 1e-4}


def first_position(model: Any, pad: int, head: Sequence[torch.nn.Module]) -> int | None:
    """Return the position of a text's first token if the chain can take packed texts.

    A trial decides: texts of 1 to 300 random tokens, packed and padded, must give the same vectors.
    RoBERTa and its relatives number tokens from pad + 1, other models from 0; both are tried.

    Args:
        model: A SentenceTransformer.
        pad: Id of the padding token.
        head: The modules of the chain that read tokens. The later modules take only vectors, and
            may need the language of a text.

    Returns:
        The position, or None if texts must be padded; the reason is logged.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    encoder = getattr(model[0], "model", None)
    implementation = getattr(getattr(encoder, "config", None), "_attn_implementation", None)
    try:
        if encoder is None or implementation is None:
            raise UnpackableError("it is not a transformers model")
        AttentionInterface.register(NAME, attention)
        AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
        encoder.set_attn_implementation(NAME)
        allowed = model[0].model_forward_params
        if allowed is not None:
            allowed |= {
                "position_ids",
                "cu_seq_lens_q",
                "cu_seq_lens_k",
                "max_length_q",
                "max_length_k",
            }
        return _try_packing(model, pad, torch.nn.Sequential(*head))
    except Exception as error:  # an unknown encoder may raise anything; padding is always right
        with contextlib.suppress(Exception):
            if implementation not in (None, NAME):
                encoder.set_attn_implementation(implementation)  # type: ignore[union-attr]
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        logger.info("texts are padded, because this encoder cannot take them packed: %s", reason)
        return None


def _try_packing(model: Any, pad: int, head: torch.nn.Module) -> int:
    """Return the first position whose packed vectors equal the padded ones, or raise."""
    device = next(model.parameters()).device
    texts = _trial_texts(model, pad)
    longest = max(map(len, texts))
    ids = torch.tensor([t + [pad] * (longest - len(t)) for t in texts], device=device)
    mask = torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in texts], device=device)
    padded_features = {"input_ids": ids, "attention_mask": mask}
    stored = next(model.parameters()).dtype
    computed = torch.bfloat16 if device.type == "cuda" and stored == torch.float32 else stored
    half, tolerance = computed != stored, TOLERANCE[computed]
    training_flags = [(m, m.training) for m in model.modules()]
    model.eval()

    def vectors(features: dict[str, Any], half: bool) -> Tensor:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            output: Tensor = head(dict(features))["sentence_embedding"]
            return output.float()

    try:
        padded = vectors(padded_features, half)
        if half:  # the rounding of bf16 alone moves vectors by this much
            exact = vectors(padded_features, False)
            tolerance = max(TOLERANCE[stored], 4 * _relative_difference(padded, exact))
        differences = {
            first: _relative_difference(vectors(packed_row(texts, first, device), half), padded)
            for first in (0, pad + 1)
        }
    finally:
        for module, flag in training_flags:
            module.training = flag
    first = min(differences, key=lambda x: differences[x])
    if differences[first] < tolerance:
        return first
    raise UnpackableError(f"packed vectors differ from padded ones by {differences[first]:.0e}")


def _trial_texts(model: Any, pad: int) -> list[list[int]]:
    """Return texts of 1 to 300 random tokens, as far as the model's limits permit.

    Long ones have a padding token in their midst, as a text that names it ("<pad>") has.
    """
    random = torch.Generator().manual_seed(0)
    vocabulary_size = model[0].model.get_input_embeddings().num_embeddings
    n_positions = learned_positions(model[0].model)
    # The later of the two first positions, pad + 1, must leave room for the text.
    room = 300 if n_positions is None else max(n_positions - pad - 1, 1)
    limit = min(model.max_seq_length or 300, 300, room)
    texts = [
        [
            token if token != pad else token + 1
            for token in torch.randint(vocabulary_size - 1, (n,), generator=random).tolist()
        ]
        for n in (1, min(2, limit), min(9, limit), min(40, limit), limit)
    ]
    for text in texts[2:]:  # RoBERTa gives this token no position of its own, other models do
        text[len(text) // 2] = pad
    return texts


def _relative_difference(x: Tensor, reference: Tensor) -> float:
    return float((x - reference).abs().max() / reference.abs().max())
