"""Which store an address means: a folder (LanceDB), or milvus://host:port/name (a Milvus server)."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from typing import Any

import torch

from mixling.disk import one_writer
from mixling.encoding.vectors import chain_fingerprints, reading
from mixling.errors import MixlingError
from mixling.machine import cache_folder
from mixling.models.retriever import Retriever
from mixling.searching.store import FACTS, Store


def open_store(address: str) -> Store:
    """A store that is there. Raises MixlingError."""
    return _kind(address).open(address)


def open_whole(address: str) -> Store:
    """A store that is there and says which model made it. Raises MixlingError."""
    found = open_store(address)
    lacking = [name for name in FACTS if name not in found.info]
    if lacking:
        raise MixlingError(
            f"{address}: the store does not say its {', '.join(lacking)}; index the documents again"
        )
    return found


def make_store(address: str, dimensions: int, info: dict[str, Any]) -> Store:
    """A store that is there, or a new one with these facts. Raises MixlingError."""
    return _kind(address).make(address, dimensions, info)


def one_writer_of(address: str) -> AbstractContextManager[None]:
    """One writer at a time; the others wait. Of a Milvus server the writers of this machine alone know of each other."""
    if address.startswith("milvus://"):
        name = hashlib.sha256(address.encode()).hexdigest()[:16]
        return one_writer(cache_folder() / "locks" / name, wait=True, name=address)
    return one_writer(address, wait=True)


def made_by(retriever: Retriever, info: dict[str, Any]) -> bool:
    """Whether a model makes the vectors of a store with these facts: its weights, map and prompts are the same."""
    return remaining_modules(retriever, info) == []


def remaining_modules(retriever: Retriever, info: dict[str, Any]) -> list[torch.nn.Module] | None:
    """What a model has behind the one that made the vectors of a store with these facts, as a map behind an encoder: no module
    where it is that very model, None where it is another."""
    if info.get("reading", reading(retriever)) != reading(retriever):
        return None
    if any(retriever.prompt(r) != p for r, p in info["prompts"].items()):
        return None
    end = next(
        (n for n, name in chain_fingerprints(retriever).items() if name == info["encoder"]), None
    )
    return None if end is None else list(retriever.model)[end:]


def _kind(address: str) -> Any:
    if address.startswith("milvus://"):
        from mixling.searching.milvus import MilvusStore

        return MilvusStore
    if "://" in address:
        raise MixlingError(
            f"{address}: no such kind of store; give a folder, or milvus://host:port"
        )
    from mixling.searching.lance import LanceStore

    return LanceStore
