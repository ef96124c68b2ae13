"""Encode each text once, and cache the vectors in a folder if one is given.

The cache holds what the *head* of a model returns: the modules up to the last one that is neither a
normalization nor a linear layer. The few modules behind it (the *tail*) run on the cached vectors,
so a model and its debiased variants share one encoding. The folder has one subfolder for each
encoder, prompt, length and precision. A subfolder holds shards named by a hash: NAME.npy with
vectors, NAME.ids with 16-byte hashes of the texts.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixling.corpora.files import read_array, write_array
from mixling.corpora.values import TITLES, with_titles
from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.models.precision import Precision, choose_precision
from mixling.models.prompts import input_parts
from mixling.models.retriever import Retriever
from mixling.progress import Progress

logger = logging.getLogger(__name__)

SHARD = 2048  # texts of a shard
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


def encode_cached(
    retriever: Retriever,
    texts: Sequence[str],
    role: str | None,
    *,
    titles: Sequence[str | None] | None = None,
    languages: Sequence[str] | None = None,
    precision: Precision = "auto",
    folder: Path | None = None,
    raw: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, int]:
    """Encode texts, each distinct text once, and cache the vectors in a folder.

    Args:
        retriever: The model.
        texts: The texts.
        role: "query", "passage" or None.
        titles: Titles of the texts, which the model reads in its own way.
        languages: Languages of the texts, for a model that needs them.
        precision: Number format to compute in.
        folder: Folder of the cache; a killed call resumes at its last shard of 2,048 texts.
            Default: no cache.
        raw: Return what `encode_head` returns, without the rest of the chain.
        progress: Called as `progress(tokens_done, tokens_in_all)`.

    Returns:
        float32 `[n, dim]`, and the number of tokens that were encoded.
    """
    headings = [None] * len(texts) if titles is None else list(titles)
    hashes = [_text_hash(retriever, role, *x) for x in zip(texts, headings, strict=True)]
    precision = choose_precision(retriever.device, precision)
    subfolder = None if folder is None else folder / _cache_key(retriever, role, precision)
    cached = {} if subfolder is None else _read_cached(subfolder)
    missing: dict[bytes, tuple[str, str | None]] = {}
    for key, text, title in zip(hashes, texts, headings, strict=True):
        if key not in cached:
            missing.setdefault(key, (text, title))
    keys, pairs = list(missing), list(missing.values())
    new_texts, new_titles = [text for text, _ in pairs], [title for _, title in pairs]
    tokens = retriever.tokenize(new_texts, role, titles=new_titles) if missing else []
    total, done = sum(map(len, tokens)), 0
    for begin in range(0, len(keys), SHARD):
        shard_keys = keys[begin : begin + SHARD]
        shard_tokens = tokens[begin : begin + SHARD]
        encoded = retriever.encode_head(
            shard_tokens,
            precision=precision,
            names=with_titles(new_titles, new_texts)[begin : begin + SHARD],
            progress=None if progress is None else partial(_add_progress, progress, done, total),
        )
        done += sum(map(len, shard_tokens))
        if subfolder is not None:
            _write_cached(subfolder, shard_keys, encoded)
        cached.update(zip(shard_keys, encoded, strict=True))
    vectors = np.stack([cached[key] for key in hashes])
    if not raw:
        vectors = retriever.encode_tail(vectors, with_titles(titles, texts), role, languages)
    return vectors, total


def _text_hash(retriever: Retriever, role: str | None, text: str, title: str | None) -> bytes:
    """Return the hash of a text as a model reads it, 16 bytes.

    It covers the prompt where that holds the title; the cache has a subfolder for each prompt.
    """
    usual = retriever.prompt(role)
    prompt, content = input_parts(usual, retriever.settings.titles.value, text, title)
    if prompt == usual:
        return hashlib.blake2b(content.encode(), digest_size=16).digest()
    return hashlib.blake2b((prompt + content).encode(), digest_size=16, person=b"title").digest()


def _add_progress(
    progress: Callable[[int, int], None], done: int, total: int, shard_done: int, shard_total: int
) -> None:
    """Report the progress within a shard as progress over all shards."""
    progress(done + shard_done, total)


def similarity_vectors(
    retriever: Retriever,
    texts: Sequence[str],
    role: str,
    languages: Sequence[str],
    *,
    label: str,
    titles: Sequence[str | None] | None = None,
    precision: Precision = "auto",
    folder: Path | None = None,
) -> tuple[np.ndarray, int]:
    """Encode texts as vectors whose dot products are the model's scores, and show the progress.

    Args:
        retriever: The model.
        texts: The texts.
        role: "query" or "passage".
        languages: Languages of the texts, for a model that needs them.
        label: Name of the work on the progress bar.
        titles: Titles of the texts, which the model reads in its own way.
        precision: Number format to compute in.
        folder: Folder of the cache, as for `encode_cached`.

    Returns:
        float32 `[n, dim]`, and the number of tokens that were encoded.
    """
    with Progress(label) as bar:
        vectors, tokens = encode_cached(
            retriever,
            texts,
            role,
            titles=titles,
            languages=languages,
            precision=precision,
            folder=folder,
            progress=bar,
        )
    return normalize_for_similarity(retriever, vectors), tokens


def normalize_for_similarity(retriever: Retriever, vectors: np.ndarray) -> np.ndarray:
    """Scale vectors so that their dot products are the model's scores.

    Args:
        retriever: The model.
        vectors: float `[n, dim]`, what the model returns.

    Returns:
        float `[n, dim]`: rows of length one if the model compares by cosine, else `vectors`.
    """
    if retriever.similarity != "cosine":
        return vectors
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not length.all():
        _warn_zero_vectors(retriever.name)
    return np.asarray(vectors / np.maximum(length, 1e-12))


@cache
def _warn_zero_vectors(model: str) -> None:
    """Warn once in a process and model."""
    logger.warning(
        "%s: the vectors of some texts are zero, so their cosine with every text is 0", model
    )


def _cache_key(retriever: Retriever, role: str | None, precision: str) -> str:
    """Return the name of the cache's subfolder for a model, prompt and precision."""
    digest = hashlib.sha256(chain_fingerprints(retriever)[len(retriever.head_modules())].encode())
    digest.update(config_fingerprint(retriever).encode())
    digest.update(repr((retriever.prompt(role), retriever.max_length, precision)).encode())
    return digest.hexdigest()[:24]


def model_fingerprint(retriever: Retriever) -> str:
    """Compute the SHA-256 of a model's weights, its modules' settings and its vocabulary.

    Args:
        retriever: The model.

    Returns:
        The hash, hexadecimal.
    """
    return chain_fingerprints(retriever)[len(list(retriever.model))]


def config_fingerprint(retriever: Retriever) -> str:
    """Compute the SHA-256 of what changes vectors and shows in neither weights nor vocabulary.

    It covers how the tokenizer normalizes, splits and joins text, and the encoder's configuration
    (activation, heads, positions).

    Args:
        retriever: The model.

    Returns:
        The hash, hexadecimal.
    """
    backend = getattr(retriever.tokenizer, "backend_tokenizer", None)
    tokenizer = {} if backend is None else json.loads(backend.to_str())
    for name in CALL_SETTINGS:
        tokenizer.pop(name, None)
    config = getattr(getattr(retriever.model[0], "auto_model", None), "config", None)
    encoder = {name: getattr(config, name, None) for name in ENCODER_SETTINGS}
    return hashlib.sha256(
        json.dumps([tokenizer, encoder], sort_keys=True, default=str).encode()
    ).hexdigest()


def full_fingerprint(retriever: Retriever) -> str:
    """Compute the SHA-256 of everything that a model's vectors and scores depend on.

    It covers `model_fingerprint`, `config_fingerprint`, the prompts, the maximum length, the
    similarity and the form of titles.

    Args:
        retriever: The model.

    Returns:
        The hash, hexadecimal.
    """
    prompts = {role: retriever.prompt(role) for role in ("query", "passage")}
    parts = [
        model_fingerprint(retriever),
        config_fingerprint(retriever),
        prompts,
        retriever.max_length,
        retriever.similarity,
    ]
    if retriever.settings.titles.value != TITLES:  # so that earlier hashes stay
        parts.append(retriever.settings.titles.value)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def chain_fingerprints(retriever: Retriever) -> dict[int, str]:
    """Compute the fingerprint of each initial part of a model's chain that makes vectors.

    One pass over the weights serves all parts.

    Args:
        retriever: The model.

    Returns:
        SHA-256 by the number of modules, from the head, whose vectors are cached, to the whole
        chain.
    """
    digest, fingerprints = hashlib.sha256(), {}
    vocabulary = repr(sorted(retriever.tokenizer.get_vocab().items())).encode()
    minimum = len(retriever.head_modules())
    for number, module in enumerate(retriever.model, 1):
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


def _read_cached(subfolder: Path) -> dict[bytes, np.ndarray]:
    """Read the vectors of a cache's subfolder, by the hash of their texts."""
    cached: dict[bytes, np.ndarray] = {}
    for path in sorted(subfolder.glob("*.npy")):
        ids = path.with_suffix(".ids").read_bytes()
        values = read_array(path)
        if values.ndim != 2 or len(ids) != 16 * len(values):
            raise MixlingError(
                f"{path}: not the vectors of {path.with_suffix('.ids')}; remove both files"
            )
        cached.update((ids[16 * i : 16 * i + 16], values[i]) for i in range(len(values)))
    return cached


def _write_cached(subfolder: Path, keys: list[bytes], vectors: np.ndarray) -> None:
    """Write a shard of a cache.

    A shard exists when its .npy file does, so that file is written last. A hash of the texts names
    the shard, so that processes which write to one subfolder at once do not mix the files of two
    shards.
    """
    subfolder.mkdir(parents=True, exist_ok=True)
    ids = b"".join(keys)
    name = hashlib.blake2b(ids, digest_size=12).hexdigest()
    with new_file(subfolder / f"{name}.ids") as temporary:
        temporary.write_bytes(ids)
    write_array(subfolder / f"{name}.npy", vectors)
