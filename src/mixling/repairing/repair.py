"""Repairs vectors where they are: writes a transformed copy, puts it in place, and goes back."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mixling.connectors.connector import Batch, Connector
from mixling.connectors.parquet import ParquetConnector
from mixling.connectors.registry import open_connector
from mixling.connectors.shadow import ShadowConnector
from mixling.debiasing.files import load_transform
from mixling.disk import one_writer
from mixling.errors import BadRowError, BadVectorError, MixlingError, NotFiniteError
from mixling.machine import cache_folder
from mixling.progress import Progress
from mixling.repairing import files
from mixling.repairing.apply import Application, Identify
from mixling.repairing.dry_run import DryRun, dry_run
from mixling.repairing.ledger import Ledger, ledger_key, row_digests


@dataclass(frozen=True)
class RepairReport:
    """The counts of a pass over a collection.

    Args:
        rows: Rows that the shadow holds; as many as the original had when it was read.
        written: Rows that this pass wrote, because they were missing or had changed.
        removed: Rows that this pass removed, because the original has them no more.
        since: Rows that the original has more (or fewer, negative) since the pass read it.
        switched: How the shadow was put in place; None where it was not.
    """

    rows: int
    written: int
    removed: int = 0
    since: int = 0
    switched: str | None = None


def repair(
    address: str,
    transform: str,
    *,
    normalize: bool = False,
    identify: Identify | None = None,
    switch: bool = False,
    batch_size: int | None = None,
    state: str | Path | None = None,
) -> RepairReport:
    """Write a transformed copy of vectors beside them.

    Running it again goes on where a killed run ended, and catches up with rows that were written,
    changed or removed since. The original is never changed.

    Args:
        address: The vectors, as `open_connector` takes them.
        transform: The transform, as `load_transform` takes it.
        normalize: Scale vectors to length one; by default each keeps its length.
        identify: Returns the language of a text, for a transform by language where rows have no
            field of their language.
        switch: Put the copy in the original's place when it is complete.
        batch_size: Rows at a time; default: what suits the database.
        state: The file that keeps the progress; default: a file in Mixling's cache folder.

    Returns:
        What was written.

    Raises:
        MixlingError: The vectors cannot be read, transformed or written.

    Example:
        >>> repair("chroma:data#articles", "fair", switch=True).rows
        120000
    """
    application = Application(load_transform(transform), normalize, identify)
    with _opened(address, state) as (connector, folder):
        _check_not_switched(connector, application.tag, switch)
        application.check(connector.describe(), connector.address.text)
        if isinstance(connector, ParquetConnector):
            written = files.repair_files(connector, application, batch_size or 1000)
            report = RepairReport(connector.describe().count, written)
            if switch:
                how = files.switch_files(_root(connector), application.tag)
                report = replace(report, switched=how)
            return report
        shadow = _shadow_connector(connector)
        ledger = Ledger(
            folder / f"{application.tag}.sqlite",
            {"address": connector.address.identity, "normalize": normalize},
        )
        try:
            report = _pass(shadow, application, ledger, batch_size)
        finally:
            ledger.close()
        if not switch:
            return report
        if report.since:
            raise MixlingError(
                f"{connector.address.text}: {abs(report.since):,} rows were written or removed "
                "while the source was read. Run the same command again, at best while nothing "
                "is written."
            )
        return replace(report, switched=shadow.switch(application.tag))


def undo(address: str, transform: str | None = None, *, state: str | Path | None = None) -> str:
    """Put the original back, or, where it is in its place, remove the shadow.

    Args:
        address: The vectors.
        transform: The transform of the shadow to remove; not needed after a switch.
        state: As for `repair`.

    Returns:
        A sentence that says what was done.

    Raises:
        MixlingError: There is nothing to undo.
    """
    with _opened(address, state) as (connector, folder):
        source = connector.address.text
        tag = _switched_tag(connector)
        if tag is not None:
            if isinstance(connector, ParquetConnector):
                return files.undo_files(_root(connector), tag)
            return _shadow_connector(connector).undo(tag)
        if transform is None:
            raise MixlingError(
                f"{source}: the original is in use, so there is no switch to undo. To remove a "
                "copy, name the --transform that it was made with."
            )
        tag = Application(load_transform(transform)).tag
        if isinstance(connector, ParquetConnector):
            if not files.shadow_path(_root(connector), tag).exists():
                raise MixlingError(
                    f"{source}: there is no copy that was made with this transform. Name the "
                    "--transform of the copy."
                )
            files.drop_files(_root(connector), tag)
            return "The copy is removed."
        shadow = _shadow_connector(connector)
        if not shadow.shadow_exists(tag):
            raise MixlingError(
                f"{source}: there is no copy that was made with this transform. Name the "
                "--transform of the copy."
            )
        shadow.shadow_drop(tag)
        for path in folder.glob(f"{tag}.sqlite*"):
            path.unlink()
        return "The copy is removed."


def try_transform(
    address: str,
    transform: str,
    *,
    normalize: bool = False,
    identify: Identify | None = None,
    sample: int = 2000,
    seed: int = 0,
) -> DryRun:
    """Report the effect of a transform on a sample; nothing is written.

    Args:
        address: The vectors.
        transform: The transform.
        normalize: As for `repair`.
        identify: As for `repair`.
        sample: Rows in the sample.
        seed: Seed of the sample.

    Raises:
        MixlingError: The vectors cannot be read or transformed.
    """
    application = Application(load_transform(transform), normalize, identify)
    connector = open_connector(address)
    try:
        return dry_run(connector, application, sample, seed)
    finally:
        connector.close()


def _pass(
    connector: ShadowConnector, application: Application, ledger: Ledger, size: int | None
) -> RepairReport:
    """Write all rows that are new or changed, remove those that are gone, and count."""
    tag, source = application.tag, connector.address.text
    is_new = not connector.shadow_exists(tag)
    if is_new:
        ledger.clear()
        connector.shadow_create(tag, application.transform.output_dimensions)
    try:
        read, written = _copy_rows(connector, application, ledger, size)
    except (NotFiniteError, BadVectorError, BadRowError):
        if is_new:  # nothing is left of a repair that cannot be done
            connector.shadow_drop(tag)
            ledger.remove()
        raise
    removed = 0
    for gone in ledger.not_seen(ledger.begin_pass() - 1):
        connector.shadow_delete(tag, gone)
        ledger.forget(gone)
        removed += len(gone)
    held = connector.shadow_count(tag)
    if not held == read == ledger.count():
        raise MixlingError(
            f"{source}: {read:,} rows were read, but the copy holds {held:,}, and the ids that "
            f"were read differ in {ledger.count():,} rows only. Remove the copy with --undo and "
            "run the repair again."
        )
    connector.shadow_finish(tag)
    return RepairReport(read, written, removed, connector.describe().count - read)


def _copy_rows(
    connector: ShadowConnector, application: Application, ledger: Ledger, size: int | None
) -> tuple[int, int]:
    """Write rows that are new or changed; return how many were read and how many written.

    A thread transforms a batch while the database writes the one before it.
    """
    number = ledger.begin_pass()
    total = connector.describe().count
    read = written = 0
    waiting: deque[Future[_Prepared]] = deque()

    def write(prepared: _Prepared) -> None:
        nonlocal read, written
        if len(prepared.changed):
            connector.shadow_write(application.tag, prepared.changed)
        ledger.record(prepared.keys, prepared.digests, number)
        read += len(prepared.keys)
        written += len(prepared.changed)
        bar(read, max(total, read))

    with Progress("repairing") as bar, ThreadPoolExecutor(1) as thread:
        for batch in connector.iter_batches(size, application.identify is not None):
            keys = [ledger_key(x) for x in batch.ids]
            known = ledger.digests(keys)
            source = connector.address.text
            waiting.append(thread.submit(_prepare, batch, keys, known, application, source))
            if len(waiting) > 1:
                write(waiting.popleft().result())
        while waiting:
            write(waiting.popleft().result())
    return read, written


@dataclass(frozen=True)
class _Prepared:
    """A batch that can be written.

    Args:
        keys: All its ids, as the ledger keeps them.
        digests: All its digests.
        changed: The rows that are new or changed, transformed.
    """

    keys: list[Any]
    digests: list[int]
    changed: Batch


def _prepare(
    batch: Batch, keys: list[Any], known: dict[Any, int], application: Application, source: str
) -> _Prepared:
    """Transform the rows of a batch whose digest is not the known one."""
    languages = application.languages(batch, source)
    digests = row_digests(batch, languages)
    rows = [i for i, key in enumerate(keys) if known.get(key) != digests[i]]
    part = _select(batch, rows)
    chosen = [languages[i] for i in rows] if languages is not None else None
    return _Prepared(keys, digests, application.apply(part, chosen) if rows else part)


def _select(batch: Batch, rows: list[int]) -> Batch:
    """Return some rows of a batch, without texts and languages."""
    if len(rows) == len(batch):
        return batch
    return Batch(
        [batch.ids[i] for i in rows],
        batch.vectors[np.array(rows, int)],
        None,
        None,
        [batch.rows[i] for i in rows],
    )


@contextmanager
def _opened(address: str, state: str | Path | None) -> Iterator[tuple[Connector, Path]]:
    """Yield the connector, and the folder of the progress, locked for one writer."""
    connector = open_connector(address)
    try:
        text = connector.address.text
        name = hashlib.sha256(connector.address.identity.encode())
        folder = Path(state) if state else cache_folder() / "repairs" / name.hexdigest()[:16]
        with one_writer(folder, name=text):
            yield connector, folder
    finally:
        connector.close()


def _shadow_connector(connector: Connector) -> ShadowConnector:
    assert isinstance(connector, ShadowConnector)
    return connector


def _root(connector: ParquetConnector) -> Path:
    assert connector.address.folder is not None
    return connector.address.folder


def _switched_tag(connector: Connector) -> str | None:
    """Return the tag of the shadow that stands in the original's place, or None."""
    if isinstance(connector, ParquetConnector):
        return files.switched_tag(_root(connector))
    return _shadow_connector(connector).switched_tag()


def _check_not_switched(connector: Connector, tag: str, switch: bool) -> None:
    """Refuse to transform vectors that are transformed; end a switch that was killed."""
    found = _switched_tag(connector)
    if found is None:
        return
    if switch and not isinstance(connector, ParquetConnector):
        shadow = _shadow_connector(connector)
        if shadow.is_half_switched(tag):
            shadow.undo(tag)
            return
    raise MixlingError(
        f"{connector.address.text}: the vectors are repaired already (transform {found}). Go "
        "back to the original with --undo."
    )
