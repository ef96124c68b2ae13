"""Repairs Parquet files: each is written anew, whole or absent, and then renamed.

NAME, NAME.mixling-TAG      the repaired file or folder beside the original
NAME, NAME.before-TAG       switched; the original is NAME.before-TAG
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.connectors.parquet import ParquetConnector
from mixling.corpora.files import open_parquet
from mixling.disk import new_file
from mixling.errors import MixlingError
from mixling.repairing.apply import Application

_SOURCE = b"mixling.source"  # size and time of the file that a repaired one was made of


def repair_files(connector: ParquetConnector, application: Application, size: int) -> int:
    """Write the repaired files; those that are up to date stay.

    Args:
        connector: The files.
        application: The transform.
        size: Rows that are read at a time.

    Returns:
        The number of rows written.
    """
    root = _path(connector)
    shadow = shadow_path(root, application.tag)
    written = 0
    for path in connector.files:
        target = shadow / path.name if root.is_dir() else shadow
        stamp = _stamp(path, application)
        if target.exists() and (pq.read_metadata(target).metadata or {}).get(_SOURCE) == stamp:
            continue
        with new_file(target) as temporary:
            written += _repair_file(connector, application, path, temporary, stamp, size)
    if root.is_dir():
        current = {path.name for path in connector.files}
        for old in shadow.glob("*.parquet"):
            if old.name not in current:
                old.unlink()
    return written


def _repair_file(
    connector: ParquetConnector,
    application: Application,
    path: Path,
    out: Path,
    stamp: bytes,
    size: int,
) -> int:
    """Write one file; return its number of rows."""
    description = connector.describe()
    source = open_parquet(path)
    schema = source.schema_arrow
    schema = schema.with_metadata({**(schema.metadata or {}), _SOURCE: stamp})
    place = schema.get_field_index("vector")
    kind = schema.field(place).type
    if pa.types.is_fixed_size_list(kind):
        kind = pa.list_(kind.value_field, application.transform.output_dimensions)
        schema = schema.set(place, schema.field(place).with_type(kind))
    row = 0
    with pq.ParquetWriter(out, schema) as writer:
        for record in source.iter_batches(size):
            table = pa.Table.from_batches([record])
            batch = connector.batch_of(table, path, row, description, True)
            languages = application.languages(batch, str(path))
            vectors = application.apply(batch, languages).vectors
            values = pa.array(vectors.ravel()).cast(kind.value_type)
            column: pa.Array = pa.FixedSizeListArray.from_arrays(values, vectors.shape[1])
            table = table.set_column(place, "vector", column.cast(kind))
            writer.write_table(table.cast(schema))
            row += len(table)
    if row != source.metadata.num_rows:
        raise MixlingError(
            f"{path}: the file changed while it was read. Run the same command again."
        )
    return row


def shadow_path(root: Path, tag: str) -> Path:
    """Return where the repaired files are."""
    return root.with_name(f"{root.name}.mixling-{tag}")


def switched_tag(root: Path) -> str | None:
    """Return the tag of the repaired files that stand in the original's place, or None."""
    prefix = f"{root.name}.before-"
    found = sorted(x.name for x in root.absolute().parent.glob(f"{root.name}.before-*"))
    return found[0][len(prefix) :] if found else None


def switch_files(root: Path, tag: str) -> str:
    """Put the repaired files in the original's place."""
    original = root.with_name(f"{root.name}.before-{tag}")
    if not original.exists():
        root.rename(original)
    if not root.exists():
        shadow_path(root, tag).rename(root)
    return f"{root} is repaired; {original} is the original."


def undo_files(root: Path, tag: str) -> str:
    """Put the original back."""
    shadow = shadow_path(root, tag)
    if not shadow.exists():
        root.rename(shadow)
    root.with_name(f"{root.name}.before-{tag}").rename(root)
    return f"{root} is the original again."


def drop_files(root: Path, tag: str) -> None:
    """Remove the repaired files."""
    shadow = shadow_path(root, tag)
    if shadow.is_dir():
        shutil.rmtree(shadow)
    else:
        shadow.unlink()


def _path(connector: ParquetConnector) -> Path:
    assert connector.address.folder is not None
    return connector.address.folder


def _stamp(path: Path, application: Application) -> bytes:
    """Return the stamp that shows whether a repaired file is up to date."""
    state = path.stat()
    return f"{state.st_size}:{state.st_mtime_ns}:{application.normalize}".encode()
