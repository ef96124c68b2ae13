"""Hashes of all that an encoder's vectors depend on: weights, vocabulary, settings, options.

An `ExternalEncoder` has neither weights nor a chain of modules: its one hash stands for all.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

from mixling.corpora.values import TITLES
from mixling.models.encoder import ExternalEncoder

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

# settings of a tokenizer that its last call changes, so they do not belong to the model
CALL_SETTINGS = ("truncation", "padding")
# settings of an encoder that change its vectors and do not show in its weights
ENCODER_SETTINGS = (
    "hidden_act",
    "hidden_activation",
    "activation",
    "activation_function",
    "num_attention_heads",
    "num_key_value_heads",
    "layer_norm_eps",
    "norm_eps",
    "rms_norm_eps",
    "position_embedding_type",
    "rope_theta",
    "sliding_window",
    "local_attention",
    "global_attn_every_n_layers",
    "pad_token_id",
    "is_decoder",
)


def model_fingerprint(encoder: Retriever | ExternalEncoder) -> str:
    """Compute the SHA-256 of a model's weights, its modules' settings and its vocabulary.

    Args:
        encoder: The model.

    Returns:
        The hash, hexadecimal.
    """
    if isinstance(encoder, ExternalEncoder):
        return encoder.fingerprint()
    return chain_fingerprints(encoder)[len(list(encoder.model))]


def config_fingerprint(encoder: Retriever | ExternalEncoder) -> str:
    """Compute the SHA-256 of the settings that change vectors, beside weights and vocabulary.

    It covers how the tokenizer normalizes, splits and joins text, and the encoder's configuration
    (activation, heads, positions).

    Args:
        encoder: The model.

    Returns:
        The hash, hexadecimal.
    """
    if isinstance(encoder, ExternalEncoder):
        return ""  # all is in its one hash
    backend = getattr(encoder.tokenizer, "backend_tokenizer", None)
    tokenizer = {} if backend is None else json.loads(backend.to_str())
    for name in CALL_SETTINGS:
        tokenizer.pop(name, None)
    config = getattr(getattr(encoder.model[0], "auto_model", None), "config", None)
    settings = {name: getattr(config, name, None) for name in ENCODER_SETTINGS}
    return hashlib.sha256(
        json.dumps([tokenizer, settings], sort_keys=True, default=str).encode()
    ).hexdigest()


def full_fingerprint(encoder: Retriever | ExternalEncoder) -> str:
    """Compute the SHA-256 of everything that a model's vectors and scores depend on.

    It covers `model_fingerprint`, `config_fingerprint`, the prompts, the maximum length, the
    similarity and the form of titles.

    Args:
        encoder: The model.

    Returns:
        The hash, hexadecimal.
    """
    if isinstance(encoder, ExternalEncoder):
        return hashlib.sha256(f"{encoder.fingerprint()} {encoder.similarity}".encode()).hexdigest()
    prompts = {role: encoder.prompt(role) for role in ("query", "passage")}
    parts = [
        model_fingerprint(encoder),
        config_fingerprint(encoder),
        prompts,
        encoder.max_length,
        encoder.similarity,
    ]
    if encoder.settings.titles.value != TITLES:  # so that earlier hashes stay
        parts.append(encoder.settings.titles.value)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def chain_fingerprints(encoder: Retriever | ExternalEncoder) -> dict[int, str]:
    """Compute the fingerprint of each initial part of a model's chain that makes vectors.

    One pass over the weights serves all parts.

    Args:
        encoder: The model.

    Returns:
        SHA-256 by the number of modules, from the head, whose vectors are cached, to the whole
        chain.
    """
    if isinstance(encoder, ExternalEncoder):
        return encoder.fingerprints()
    digest, fingerprints = hashlib.sha256(), {}
    vocabulary = repr(sorted(encoder.tokenizer.get_vocab().items())).encode()
    minimum = len(encoder.head_modules())
    for number, module in enumerate(encoder.model, 1):
        config: dict[str, Any] = getattr(module, "get_config_dict", dict)()
        digest.update(repr((type(module).__name__, sorted(config.items()))).encode())
        for name, value in module.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        if number >= minimum:
            part = digest.copy()
            part.update(vocabulary)
            fingerprints[number] = part.hexdigest()
    return fingerprints
