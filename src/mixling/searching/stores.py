"""Opens the store at an address: a folder, or milvus://host:port/name."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from typing import Any

from mixling.disk import LOCKS, one_writer
from mixling.errors import MixlingError
from mixling.machine import cache_folder
from mixling.models.encoder import ExternalEncoder
from mixling.models.encoders import AnyEncoder
from mixling.models.fingerprints import chain_fingerprints, config_fingerprint
from mixling.searching.lance import LanceStore
from mixling.searching.milvus import MilvusStore
from mixling.searching.store import REQUIRED_INFO, Store

# The class of a store by the scheme of its address; an address without a scheme is a folder.
STORES: dict[str, type[Store]] = {
    "": LanceStore,
    "milvus": MilvusStore,
}


def store_class(address: str) -> type[Store]:
    """Return the class of the store at an address.

    Raises:
        MixlingError: The address has an unknown scheme.
    """
    scheme = _scheme(address)
    if scheme not in STORES:
        raise MixlingError(
            f"{address}: this kind of store is unknown. Give a folder, or milvus://host:port"
        )
    return STORES[scheme]


def is_store(address: str) -> bool:
    """Return whether an address names a store: by its scheme, or because the folder holds one."""
    scheme = _scheme(address)
    return scheme in STORES if scheme else LanceStore.exists(address)


def open_store(address: str) -> Store:
    """Open a store that exists.

    Raises:
        MixlingError: There is no store at the address, or it cannot be reached.
    """
    return store_class(address).open(address)


def open_searchable_store(address: str) -> Store:
    """Open a store that exists and names the model that made its vectors.

    Raises:
        MixlingError: There is no store at the address, or its info lacks one of `REQUIRED_INFO`.
    """
    store = open_store(address)
    missing = [name for name in REQUIRED_INFO if name not in store.info]
    if missing:
        raise MixlingError(
            f"{address}: the store does not name its {', '.join(missing)}. Index the documents "
            "again."
        )
    return store


def open_or_create_store(address: str, dimensions: int, info: dict[str, Any]) -> Store:
    """Open a store that exists, or create one.

    Args:
        address: A folder, or milvus://host:port/name.
        dimensions: Size of the vectors of a new store.
        info: The info of a new store.

    Raises:
        MixlingError: The store cannot be reached, or something else is at the address.
    """
    return store_class(address).open_or_create(address, dimensions, info)


def lock_store(address: str) -> AbstractContextManager[None]:
    """Hold a store for one writer at a time; other writers wait.

    The lock of a store on a server is a file of this machine, so writers on other machines do not
    see it.
    """
    if _scheme(address):
        name = hashlib.sha256(address.encode()).hexdigest()[:16]
        return one_writer(cache_folder() / LOCKS / name, wait=True, name=address)
    return one_writer(address, wait=True)


def made_by(retriever: AnyEncoder, info: dict[str, Any]) -> bool:
    """Return whether a model makes the vectors of a store.

    Its weights, transform and prompts must be the same.
    """
    return remaining_modules(retriever, info) == []


def remaining_modules(retriever: AnyEncoder, info: dict[str, Any]) -> list[Any] | None:
    """Return the modules that a model has beyond the model that made the vectors of a store.

    A debiased model is an encoder followed by a transform. The vectors of a store that the encoder
    made only have to pass through the transform.

    Args:
        retriever: The model.
        info: The info of the store.

    Returns:
        The remaining modules, or transforms of an encoder without weights; none where the model
        made the vectors itself; None where another model made them.
    """
    if info.get("reading", config_fingerprint(retriever)) != config_fingerprint(retriever):
        return None
    if any(retriever.prompt(role) != prompt for role, prompt in info["prompts"].items()):
        return None
    end = next(
        (n for n, name in chain_fingerprints(retriever).items() if name == info["encoder"]), None
    )
    if end is None:
        return None
    if isinstance(retriever, ExternalEncoder):
        return retriever.remaining(end)
    return list(retriever.model)[end:]


def _scheme(address: str) -> str:
    return address.partition("://")[0] if "://" in address else ""
