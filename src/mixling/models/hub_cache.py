"""Models in the hub's cache, of which other programs may have fetched a part only.

transformers and vLLM fetch the encoder and its tokenizer, and leave out `modules.json`, the pooling
and the prompts, which sentence-transformers reads. Such a part looks like a plain encoder. The
cache tells parts apart: it lists files that the hub did not have (`.no_exist`) and, since
huggingface_hub 2, all files of a repository that `hf download` has fetched.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from mixling.errors import MixlingError
from mixling.models.trust import module_entries

logger = logging.getLogger(__name__)

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
# names of the first module's settings; sentence-transformers looks for the first one first
TRANSFORMER_CONFIGS = tuple(
    f"sentence_{x}_config.json"
    for x in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# modules that cannot be used without their config.json
CONFIGURED_MODULES = ("Pooling", "Dense", "LayerNorm", "WeightedLayerPooling")
# files beside the encoder, as sentence-transformers reads them
_SMALL_FILES = re.compile(
    rf"README\.md|{re.escape(MODULES)}|{re.escape(PROMPTS)}|sentence_[\w-]+_config\.json|"
    r"\d+_\w+/[\w.-]+\.(json|safetensors|bin)"
)


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
    has_weights = any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))
    return str(folder) if has_weights else None


def gate_error(error: BaseException, name: str) -> MixlingError | None:
    """Return the error for a model whose publisher asks for an account and consent.

    Args:
        error: The error of the library that asked the hub; transformers keeps the hub's as a cause.
        name: The model's hub name.

    Returns:
        The error to raise, or None if the model is not gated.
    """
    from huggingface_hub import constants, errors, get_token

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, errors.GatedRepoError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    token = "the token that is set has no access" if get_token() else "no token is set"
    return MixlingError(
        f"{name}: the model is gated, and {token}. Accept its terms at "
        f"{constants.ENDPOINT}/{name}, then run `hf auth login` or set HF_TOKEN."
    )


def complete_snapshot(name: str, folder: str, use_is_known: bool) -> None:
    """Make sure that a folder of the hub's cache has the files that say how its model is used.

    Missing files are fetched if there is a network.

    Args:
        name: The model's hub name.
        folder: Its folder in the cache.
        use_is_known: Whether pooling and prompts are known without these files, so that a model of
            which nothing is known to be missing may be a plain encoder.

    Raises:
        MixlingError: Files are missing, or may be missing, and cannot be fetched.
    """
    snapshot = Path(folder)
    listing = _cached_listing(name, snapshot)
    missing, undecided = _gaps(name, snapshot, listing)
    if not missing and (not undecided or use_is_known):
        return
    if (listing := _hub_listing(name, snapshot.name)) is not None:
        _fetch(name, snapshot, listing)
        missing, undecided = _gaps(name, snapshot, listing)
    if missing:
        raise MixlingError(
            f"{name}: the hub's cache holds only a part of the model and lacks files that say "
            f"how it is used: {', '.join(missing)}. Fetch the rest: hf download {name}"
        )
    if undecided and not use_is_known:
        raise MixlingError(
            f"{name}: the hub's cache holds only a part of the model, as transformers and vLLM "
            "fetch it. Without a network, Mixling cannot know whether the model has files that "
            f"say how it is used: {', '.join(undecided)}. Fetch the rest (hf download {name}), "
            "or, if the model is a plain encoder, name its pooling (--pooling; in Python "
            "pooling=…)."
        )


def _gaps(name: str, snapshot: Path, listing: set[str] | None) -> tuple[list[str], list[str]]:
    """Return the files that a snapshot lacks, and those that its repository may have.

    Args:
        name: The hub name.
        snapshot: The folder of the snapshot.
        listing: All files of the repository, or None if they are unknown.
    """
    from huggingface_hub import try_to_load_from_cache

    def is_absent(file: str) -> bool:
        """Return whether the repository is known not to have a file."""
        if listing is not None:
            return file not in listing
        cached: Any = try_to_load_from_cache(name, file)
        return cached is not None and not isinstance(cached, str)

    wanted = [MODULES]
    if (snapshot / MODULES).is_file():
        wanted = [PROMPTS]
        if not any((snapshot / file).is_file() for file in TRANSFORMER_CONFIGS):
            wanted += TRANSFORMER_CONFIGS if listing is not None else TRANSFORMER_CONFIGS[:1]
        wanted += [
            f"{module['path']}/config.json"
            for module in module_entries(str(snapshot))
            if str(module.get("type")).rpartition(".")[2] in CONFIGURED_MODULES
        ]
    gaps = [f for f in wanted if not (snapshot / f).is_file() and not is_absent(f)]
    return ([], gaps) if listing is None else (gaps, [])


def _cached_listing(name: str, snapshot: Path) -> set[str] | None:
    """Return all files of a repository as far as the cache knows them, or None."""
    from huggingface_hub import get_cached_repo_tree

    try:
        return {file.path for file in get_cached_repo_tree(name, revision=snapshot.name)}
    except Exception:  # no listing, or one of another form
        pass
    if (snapshot / ".gitattributes").is_file():  # fetched as a whole: no program reads this file
        return {str(p.relative_to(snapshot)) for p in snapshot.rglob("*") if p.is_file()}
    return None


def _hub_listing(name: str, commit: str) -> set[str] | None:
    """Return all files of a repository as the hub lists them, or None without a network."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        info = HfApi().model_info(name, revision=commit, timeout=10)
    except Exception:  # whatever it is, the hub did not answer
        return None
    return {file.rfilename for file in info.siblings or ()}


def _fetch(name: str, snapshot: Path, listing: set[str]) -> None:
    """Fetch the small files of a repository that its snapshot lacks."""
    from huggingface_hub import hf_hub_download

    for file in sorted(f for f in listing if _SMALL_FILES.fullmatch(f)):
        if not (snapshot / file).is_file():
            logger.info("%s: fetching %s from the Hugging Face hub", name, file)
            hf_hub_download(name, file, revision=snapshot.name)
