"""An encoder with a language bias of known size, for `python:benchmarks.biased:encode`.

It is use-multilingual-v3, which treats languages nearly alike, with a direction of its own for each
language added to every vector.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from mixling.models.encoders import load_encoder
from mixling.models.identify import identify_languages
from mixling.models.universal import LANGUAGES, NAME

BIAS = 0.6  # length of the direction; the vectors have length one


def encode(texts: list[str], role: str | None) -> np.ndarray:
    """Return vectors with a bias by the identified language, float32 `[n, 512]`."""
    languages = identify_languages(texts, LANGUAGES)
    return plain(texts, role) + BIAS * np.stack([_direction(x) for x in languages])


def plain(texts: list[str], role: str | None) -> np.ndarray:
    """Return vectors without the bias."""
    return _encoder().encode(texts, role)


@cache
def _encoder():
    return load_encoder(NAME)


@cache
def _direction(language: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(language.encode(), digest_size=4).digest(), "little")
    vector = np.random.default_rng(seed).standard_normal(512)
    return (vector / np.linalg.norm(vector)).astype(np.float32)
