"""Which store an address means: a folder (LanceDB), or milvus://host:port/name (a Milvus server)."""

from __future__ import annotations

from typing import Any

from mixling.encoding.vectors import fingerprint
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.searching.store import Store


def open_store(address: str) -> Store:
    """A store that is there. Raises MixlingError."""
    return _kind(address).open(address)


def make_store(address: str, dimensions: int, info: dict[str, Any]) -> Store:
    """A store that is there, or a new one with these facts. Raises MixlingError."""
    return _kind(address).make(address, dimensions, info)


def makes(retriever: Retriever, info: dict[str, Any]) -> bool:
    """Whether a model makes the vectors of a store with these facts: its weights, map and prompts are the same."""
    return fingerprint(retriever) == info["encoder"] and all(
        retriever.prompt(r) == p for r, p in info["prompts"].items()
    )


def _kind(address: str) -> Any:
    if address.startswith("milvus://"):
        from mixling.searching.milvus import Milvus

        return Milvus
    if "://" in address:
        raise MixlingError(f"{address}: no such kind of store; give a folder, or milvus://host:port")
    from mixling.searching.lance import Lance

    return Lance
