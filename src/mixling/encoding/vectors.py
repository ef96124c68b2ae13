"""Vectors of texts, each text encoded once, kept in a folder if one is given.

What is kept is what the *encoder* gives: the chain of modules up to its last one that is neither a
normalization nor a linear layer. Those few that follow (`tail`) are applied to the kept vectors, so a model
and its debiased variants share one encoding. A folder holds one subfolder an encoder, prompt, length and
precision, and in it shards named by a hash: NAME.npy with vectors, NAME.ids with 16-byte hashes of the texts.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixling.corpora.files import read_array, write_array
from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.models.precision import Precision, choose_precision
from mixling.models.retriever import Retriever
from mixling.progress import Progress

logger = logging.getLogger(__name__)

SHARD = 2048
# of a tokenizer's settings those of its last call; of a configuration what changes vectors and no weight tells
CALL = ("truncation", "padding")
SHAPE = (
    "hidden_act", "hidden_activation", "activation", "activation_function", "num_attention_heads", "num_key_value_heads",
    "layer_norm_eps", "norm_eps", "rms_norm_eps", "position_embedding_type", "rope_theta", "sliding_window",
    "local_attention", "global_attn_every_n_layers", "pad_token_id", "is_decoder",
)  # fmt: skip


def encode_cached(
    retriever: Retriever,
    texts: Sequence[str],
    role: str | None,
    *,
    languages: Sequence[str] | None = None,
    precision: Precision = "auto",
    folder: Path | None = None,
    raw: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, int]:
    """Encode texts, each distinct text once, and keep the vectors in a folder.

    Args:
        retriever: The model.
        texts: The texts.
        role: "query", "passage" or None.
        languages: Languages of the texts, for a model that needs them.
        precision: Number format to compute in.
        folder: Where vectors are kept between calls; a killed call resumes at its last shard of
            2,048 texts. Default: nowhere.
        raw: Return what `encode_head` returns, without the rest of the chain.
        progress: Called as `progress(tokens_done, tokens_in_all)`.

    Returns:
        float32 `[n, dimensions]`, and the number of tokens that were encoded.
    """
    names = [hashlib.blake2b(t.encode(), digest_size=16).digest() for t in texts]
    precision = choose_precision(retriever.device, precision)
    shelf = None if folder is None else folder / _cache_key(retriever, role, precision)
    kept = {} if shelf is None else _read_cached(shelf)
    missing: dict[bytes, str] = {}
    for key, text in zip(names, texts, strict=True):
        if key not in kept:
            missing.setdefault(key, text)
    keys = list(missing)
    tokens = retriever.tokenize(list(missing.values()), role) if missing else []
    total, done = sum(map(len, tokens)), 0
    for begin in range(0, len(keys), SHARD):
        some = tokens[begin : begin + SHARD]
        before = done
        made = retriever.encode_head(
            some,
            precision=precision,
            names=[missing[k] for k in keys[begin : begin + SHARD]],
            progress=None
            if progress is None
            else lambda n, _, before=before: progress(before + n, total),  # type: ignore[misc]
        )
        done += sum(map(len, some))
        if shelf is not None:
            _write_cached(shelf, keys[begin : begin + SHARD], made)
        kept.update(zip(keys[begin : begin + SHARD], made, strict=True))
    made = np.stack([kept[n] for n in names])
    return (made if raw else retriever.encode_tail(made, texts, role, languages)), total


def similarity_vectors(
    retriever: Retriever,
    texts: Sequence[str],
    role: str,
    languages: Sequence[str],
    *,
    label: str,
    precision: Precision = "auto",
    folder: Path | None = None,
) -> tuple[np.ndarray, int]:
    """`vectors` as `comparable` has them, with progress under a label; and how many tokens were encoded."""
    with Progress(label) as bar:
        made, tokens = encode_cached(
            retriever,
            texts,
            role,
            languages=languages,
            precision=precision,
            folder=folder,
            progress=bar,
        )
    return normalize_for_similarity(retriever, made), tokens


def normalize_for_similarity(retriever: Retriever, made: np.ndarray) -> np.ndarray:
    """Vectors [n, d] of which dot products are the model's scores: of length one if it compares by cosine."""
    if retriever.similarity != "cosine":
        return made
    length = np.linalg.norm(made, axis=1, keepdims=True)
    if not length.all():
        _warn_zero_vectors(retriever.name)
    return made / np.maximum(length, 1e-12)


@cache
def _warn_zero_vectors(model: str) -> None:
    """Once a process."""
    logger.warning(
        "%s: the vectors of some texts are zero, so their cosine with every text is 0", model
    )


def _cache_key(retriever: Retriever, role: str | None, precision: str) -> str:
    digest = hashlib.sha256(chain_fingerprints(retriever)[len(retriever.head_modules())].encode())
    digest.update(config_fingerprint(retriever).encode())
    digest.update(repr((retriever.prompt(role), retriever.max_length, precision)).encode())
    return digest.hexdigest()[:24]


def model_fingerprint(retriever: Retriever) -> str:
    """SHA-256 of a model: weights and settings of its chain, and its vocabulary."""
    return chain_fingerprints(retriever)[len(list(retriever.model))]


def config_fingerprint(retriever: Retriever) -> str:
    """SHA-256 of what weights and vocabulary do not tell: how the tokenizer normalizes, splits and joins, and the encoder's
    configuration (activation, heads, positions)."""
    backend = getattr(retriever.tokenizer, "backend_tokenizer", None)
    words = {} if backend is None else json.loads(backend.to_str())
    config = getattr(getattr(retriever.model[0], "auto_model", None), "config", None)
    sizes = {name: getattr(config, name, None) for name in SHAPE}
    for name in CALL:
        words.pop(name, None)
    return hashlib.sha256(
        json.dumps([words, sizes], sort_keys=True, default=str).encode()
    ).hexdigest()


def full_fingerprint(retriever: Retriever) -> str:
    """SHA-256 of all that makes a model's vectors: `fingerprint`, `reading`, its prompts and its longest text."""
    prompts = {r: retriever.prompt(r) for r in ("query", "passage")}
    whole = [
        model_fingerprint(retriever),
        config_fingerprint(retriever),
        prompts,
        retriever.max_length,
        retriever.similarity,
    ]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def chain_fingerprints(retriever: Retriever) -> dict[int, str]:
    """The fingerprint of each beginning of a model's chain that makes vectors, by how many modules it has: from `head`, whose
    vectors are kept, to the whole. One pass over the weights."""
    digest, found, least = hashlib.sha256(), {}, len(retriever.head_modules())
    words = repr(sorted(retriever.tokenizer.get_vocab().items())).encode()
    for number, module in enumerate(retriever.model, 1):
        config: dict[str, Any] = getattr(module, "get_config_dict", dict)()
        digest.update(repr((type(module).__name__, sorted(config.items()))).encode())
        for name, value in module.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        if number >= least:
            whole = digest.copy()
            whole.update(words)
            found[number] = whole.hexdigest()
    return found


def _read_cached(shelf: Path) -> dict[bytes, np.ndarray]:
    kept: dict[bytes, np.ndarray] = {}
    for path in sorted(shelf.glob("*.npy")):
        ids = path.with_suffix(".ids").read_bytes()
        values = read_array(path)
        if values.ndim != 2 or len(ids) != 16 * len(values):
            raise MixlingError(
                f"{path}: not the vectors of {path.with_suffix('.ids')}; remove both files"
            )
        kept.update((ids[16 * i : 16 * i + 16], values[i]) for i in range(len(values)))
    return kept


def _write_cached(shelf: Path, keys: list[bytes], made: np.ndarray) -> None:
    """A shard is there when its .npy is: that is renamed last. Its name is a hash of its texts, so that processes
    which write to one shelf at once never mix the files of two shards."""
    shelf.mkdir(parents=True, exist_ok=True)
    ids = b"".join(keys)
    name = hashlib.blake2b(ids, digest_size=12).hexdigest()
    with new_file(shelf / f"{name}.ids") as temporary:
        temporary.write_bytes(ids)
    write_array(shelf / f"{name}.npy", made)
