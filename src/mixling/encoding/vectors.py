"""Encode each text once, and cache the vectors in a folder if one is given.

The cache holds what the *head* of a model returns: the modules up to the last one that is neither a
normalization nor a linear layer. The few modules behind it (the *tail*) run on the cached vectors,
so a model and its debiased variants share one encoding. The folder has one subfolder for each
encoder, prompt, length and precision. A subfolder holds shards named by a hash: NAME.npy with
vectors, NAME.ids with 16-byte hashes of the texts.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mixling.corpora.files import read_array, write_array
from mixling.corpora.values import with_titles
from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.models.encoder import ExternalEncoder
from mixling.models.encoders import AnyEncoder
from mixling.models.fingerprints import chain_fingerprints, config_fingerprint
from mixling.models.precision import Precision, choose_precision
from mixling.models.prompts import input_parts
from mixling.models.transformed import TransformedEncoder
from mixling.progress import Progress

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

logger = logging.getLogger(__name__)

SHARD = 2048  # texts of a shard


def encode_cached(
    encoder: AnyEncoder,
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
        encoder: The model.
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

    Raises:
        MixlingError: A text cannot be encoded, or `raw` is asked of an encoder without modules.
    """
    if isinstance(encoder, TransformedEncoder) and not raw:
        # as the head of a chain: the encoder inside and its debiased variants share one encoding
        vectors, total = encode_cached(
            encoder.inner, texts, role, titles=titles, folder=folder, progress=progress
        )
        return encoder.transform(vectors, with_titles(titles, texts), role, languages), total
    headings = [None] * len(texts) if titles is None else list(titles)
    hashes = [_text_hash(encoder, role, *x) for x in zip(texts, headings, strict=True)]
    precision = choose_precision(encoder.device, precision)
    subfolder = None if folder is None else folder / _cache_key(encoder, role, precision)
    cached = {} if subfolder is None else _read_cached(subfolder)
    missing: dict[bytes, tuple[str, str | None]] = {}
    for key, text, title in zip(hashes, texts, headings, strict=True):
        if key not in cached:
            missing.setdefault(key, (text, title))
    keys, pairs = list(missing), list(missing.values())
    new_texts, new_titles = [text for text, _ in pairs], [title for _, title in pairs]
    if isinstance(encoder, ExternalEncoder):
        if raw:
            raise MixlingError(
                f"{encoder.name}: this encoder only returns vectors, but the method is fitted on "
                "what a model computes before its last modules. Choose another method, such as "
                "lsar."
            )
        encode = _external_shards(encoder, new_texts, role, new_titles, progress)
        total = sum(encoder.count_tokens(with_titles(new_titles, new_texts)))
    else:
        tokens = encoder.tokenize(new_texts, role, titles=new_titles) if missing else []
        names = with_titles(new_titles, new_texts)
        encode = _head_shards(encoder, tokens, precision, names, progress)
        total = sum(map(len, tokens))
    for begin, encoded in zip(range(0, len(keys), SHARD), encode, strict=True):
        shard_keys = keys[begin : begin + SHARD]
        if subfolder is not None:
            _write_cached(subfolder, shard_keys, encoded)
        cached.update(zip(shard_keys, encoded, strict=True))
    vectors = np.stack([cached[key] for key in hashes])
    if not raw and not isinstance(encoder, ExternalEncoder):
        vectors = encoder.encode_tail(vectors, with_titles(titles, texts), role, languages)
    return vectors, total


def _head_shards(
    retriever: Retriever,
    tokens: list[list[int]],
    precision: Precision,
    names: list[str],
    progress: Callable[[int, int], None] | None,
) -> Iterator[np.ndarray]:
    """Yield what the head of a model's chain makes of texts, 2,048 texts at a time."""
    total, done = sum(map(len, tokens)), 0
    for begin in range(0, len(tokens), SHARD):
        shard = tokens[begin : begin + SHARD]
        yield retriever.encode_head(
            shard,
            precision=precision,
            names=names[begin : begin + SHARD],
            progress=None if progress is None else partial(_add_progress, progress, done, total),
        )
        done += sum(map(len, shard))


def _external_shards(
    encoder: ExternalEncoder,
    texts: list[str],
    role: str | None,
    titles: list[str | None],
    progress: Callable[[int, int], None] | None,
) -> Iterator[np.ndarray]:
    """Yield the vectors of an encoder without modules, 2,048 texts at a time."""
    for begin in range(0, len(texts), SHARD):
        yield encoder.encode(
            texts[begin : begin + SHARD],
            role,
            titles=titles[begin : begin + SHARD],
            progress=None
            if progress is None
            else partial(_add_progress, progress, begin, len(texts)),
        )


def _text_hash(encoder: AnyEncoder, role: str | None, text: str, title: str | None) -> bytes:
    """Return the hash of a text as a model reads it, 16 bytes.

    It covers the prompt where that holds the title; the cache has a subfolder for each prompt.
    """
    usual = encoder.prompt(role)
    prompt, content = input_parts(usual, encoder.settings.titles.value, text, title)
    if prompt == usual:
        return hashlib.blake2b(content.encode(), digest_size=16).digest()
    return hashlib.blake2b((prompt + content).encode(), digest_size=16, person=b"title").digest()


def _add_progress(
    progress: Callable[[int, int], None], done: int, total: int, shard_done: int, shard_total: int
) -> None:
    """Report the progress within a shard as progress over all shards."""
    progress(done + shard_done, total)


def similarity_vectors(
    encoder: AnyEncoder,
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
        encoder: The model.
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
            encoder,
            texts,
            role,
            titles=titles,
            languages=languages,
            precision=precision,
            folder=folder,
            progress=bar,
        )
    return normalize_for_similarity(encoder, vectors), tokens


def normalize_for_similarity(encoder: AnyEncoder, vectors: np.ndarray) -> np.ndarray:
    """Scale vectors so that their dot products are the model's scores.

    Args:
        encoder: The model.
        vectors: float `[n, dim]`, what the model returns.

    Returns:
        float `[n, dim]`: rows of length one if the model compares by cosine, else `vectors`.
    """
    if encoder.similarity != "cosine":
        return vectors
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not length.all():
        _warn_zero_vectors(encoder.name)
    return np.asarray(vectors / np.maximum(length, 1e-12))


@cache
def _warn_zero_vectors(model: str) -> None:
    """Warn once in a process and model."""
    logger.warning(
        "%s: the vectors of some texts are zero, so their cosine with every text is 0", model
    )


def _cache_key(encoder: AnyEncoder, role: str | None, precision: str) -> str:
    """Return the name of the cache's subfolder for a model, prompt and precision."""
    if isinstance(encoder, ExternalEncoder):
        return hashlib.sha256(f"{encoder.fingerprint()} {role}".encode()).hexdigest()[:24]
    digest = hashlib.sha256(chain_fingerprints(encoder)[len(encoder.head_modules())].encode())
    digest.update(config_fingerprint(encoder).encode())
    digest.update(repr((encoder.prompt(role), encoder.max_length, precision)).encode())
    return digest.hexdigest()[:24]


def _read_cached(subfolder: Path) -> dict[bytes, np.ndarray]:
    """Read the vectors of a cache's subfolder, by the hash of their texts."""
    cached: dict[bytes, np.ndarray] = {}
    for path in sorted(subfolder.glob("*.npy")):
        ids = path.with_suffix(".ids").read_bytes()
        values = read_array(path)
        if values.ndim != 2 or len(ids) != 16 * len(values):
            raise MixlingError(
                f"{path}: the file does not hold the vectors of {path.with_suffix('.ids')}. "
                "Remove both files."
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
