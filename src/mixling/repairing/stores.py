"""Repairs a store of `mixling index`: writes a copy for the model with its transform.

A store names the model of its vectors, so a repaired one needs the model with the transform, a
folder that `mixling debias` wrote. The copy is a store of its own beside the original, and the
names say how far a repair is, as for other databases (`mixling.connectors.shadow`):

    NAME, NAME_mixling_TAG      the copy is being written, or is ready
    NAME, NAME_before_TAG       switched; the original is NAME_before_TAG
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mixling.debiasing.files import load_transform
from mixling.errors import MixlingError
from mixling.repairing.apply import Application
from mixling.searching.index import index
from mixling.searching.reports import IndexReport
from mixling.searching.stores import is_store, lock_store, open_searchable_store, store_class


def repair_store(address: str, model: str, *, switch: bool = False) -> tuple[IndexReport, str]:
    """Write a copy of a store whose vectors have passed through a model's transform.

    Nothing is encoded. Running it again goes on where a killed run ended, and catches up with
    documents that were written, changed or removed since. The original is never changed.

    Args:
        address: The store, a folder or milvus://host:port/name.
        model: A model folder that `mixling debias` wrote for the store's model, or "balanced".
        switch: Put the copy in the original's place when it is complete.

    Returns:
        What was written, and a sentence that says which of the two is in use.

    Raises:
        MixlingError: Another model made the store, or it is repaired already.

    Example:
        >>> repair_store("index", "fair", switch=True)[0].passages
        120000
    """
    _check_named(address)
    tag = _tag(model)
    shadow, original = _beside(address, f"mixling_{tag}"), _beside(address, f"before_{tag}")
    kind = store_class(address)
    with lock_store(_beside(address, "repair")):
        kept = _kept(address)
        if kept:
            if switch and kept == [original] and kind.exists(shadow):  # it was killed in between
                return _report(shadow), _switch(address, shadow, original)
            raise MixlingError(
                f"{address}: the store is repaired already; '{kept[0]}' is the original. Go back "
                "with --undo, or remove the original first."
            )
        with lock_store(address):  # nothing is written while the copy catches up
            report = index(model, address, shadow)
            if switch:
                return report, _switch(address, shadow, original)
    return (
        report,
        f"'{shadow}' is the copy, and '{address}' is in use; --switch replaces it with the copy.",
    )


def undo_store(address: str, model: str | None = None) -> str:
    """Put the original of a store back, or, where it is in its place, remove the copy.

    Args:
        address: The store.
        model: The model of the copy to remove; not needed after a switch.

    Returns:
        A sentence that says what was done.

    Raises:
        MixlingError: There is nothing to undo.
    """
    _check_named(address)
    kind = store_class(address)
    with lock_store(_beside(address, "repair")):
        kept = _kept(address)
        if kept:
            original = kept[-1]
            tag = original.removeprefix(_beside(address, "before_"))
            shadow = _beside(address, f"mixling_{tag}")
            _move(address, [(address, shadow), (original, address)])
            return f"'{address}' is the original again; the copy is '{shadow}'."
        if model is None:
            raise MixlingError(
                f"{address}: the original is in use, so there is no switch to undo. To remove a "
                "copy, name the --transform that it was made with."
            )
        shadow = _beside(address, f"mixling_{_tag(model)}")
        if not kind.exists(shadow):
            raise MixlingError(
                f"{address}: there is no copy that was made with this transform. Name the "
                "--transform of the copy."
            )
        kind.remove(shadow)
        return f"'{shadow}' is removed"


def model_folder(address: str) -> Path:
    """Return where the model of a store's own transform is written, or was written by a killed run.

    It stays there as long as the store is searched, so it lies beside a store that is a folder, and
    in the working folder for one on a server.

    Args:
        address: The store.
    """
    # in the middle of a switch the address is empty, and the original names the model
    place = address if store_class(address).exists(address) else _kept(address)[-1]
    used = str(open_searchable_store(place).info["model"])
    name = address.rstrip("/") if "://" not in address else Path.cwd() / address.rpartition("/")[2]
    number = 1
    while True:
        folder = Path(f"{name}_model_{number}")
        if str(folder.resolve()) != used:
            return folder
        number += 1


def is_own_store(address: str) -> bool:
    """Return whether an address is that of a store of `mixling index`, which must be reachable.

    In the middle of a switch it is: the original is beside it.
    """
    if "://" in address and not is_store(address):
        return False
    return store_class(address).exists(address) or bool(_kept(address))


def _check_named(address: str) -> None:
    if "://" in address and address.count("/") < 3:
        raise MixlingError(
            f"{address}: the address names no collection. Write for example {address}/mixling"
        )


def _tag(model: str) -> str:
    return Application(load_transform(model)).tag


def _beside(address: str, end: str) -> str:
    return f"{address.rstrip('/')}_{end}"


def _kept(address: str) -> list[str]:
    """Return the addresses of originals that are kept beside repaired copies."""
    return [
        x for x in store_class(address).beside(address) if x.startswith(_beside(address, "before_"))
    ]


def _switch(address: str, shadow: str, original: str) -> str:
    _move(address, [(address, original), (shadow, address)])
    return f"'{address}' is the repaired copy, and '{original}' is the original; restart servers"


def _move(address: str, moves: Sequence[tuple[str, str]]) -> None:
    """Rename stores one after the other; skip those that an interrupted call has renamed."""
    kind = store_class(address)
    for old, new in moves:
        kind.rename(old, new)


def _report(address: str) -> IndexReport:
    info = open_searchable_store(address).info
    return IndexReport(0, 0, 0, passages=info["passages"], languages=info["languages"])
