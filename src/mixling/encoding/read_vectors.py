"""Reads a folder of vectors that `mixling encode` wrote, shard by shard or at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from mixling.corpora.files import read_parquet
from mixling.corpora.json_files import parse_record
from mixling.errors import MixlingError, check_finite_vectors


def list_shards(folder: str | Path) -> Iterator[pa.Table]:
    """Read the shards of a finished folder, in the file's order.

    Args:
        folder: A folder that `encode` wrote.

    Yields:
        The table of each shard.

    Raises:
        MixlingError: The folder is not finished, or a shard cannot be read.
    """
    path = Path(folder) / "manifest.json"
    if not path.exists():
        raise MixlingError(
            f"{folder}: encoding was not finished, because manifest.json is missing. Run the "
            "same `mixling encode` again."
        )
    for shard in parse_record(path.read_bytes(), path, {"shards": list})["shards"]:
        name = shard.get("file") if isinstance(shard, dict) else None
        if not isinstance(name, str) or Path(name).name != name:
            raise MixlingError(
                f"{path}: {name!r} is not a file of this folder. Encode the texts again."
            )
        table = read_parquet(path.parent / name, ("id", "vector"))
        if not pa.types.is_fixed_size_list(table.schema.field("vector").type):
            raise MixlingError(
                f"{path.parent / name}: column 'vector' holds no vectors. Encode the texts again."
            )
        yield table


def load_vectors(folder: str | Path) -> tuple[list[str], np.ndarray]:
    """Read all vectors of a finished folder into memory.

    Args:
        folder: A folder that `encode` wrote.

    Returns:
        Ids, and vectors, float32 `[n, dim]`.

    Raises:
        MixlingError: The folder is not finished or cannot be read, or a vector is not finite.

    Example:
        >>> ids, vectors = load_vectors("vectors")
        >>> vectors.shape
        (10570, 384)
    """
    ids: list[str] = []
    parts: list[np.ndarray] = []
    for table in list_shards(folder):
        ids.extend(table["id"].to_pylist())
        parts.extend(table_matrix(table))
    return ids, np.concatenate(parts)


def table_matrix(table: pa.Table, whose: str = "stored vectors") -> Sequence[np.ndarray]:
    """Return the vectors of a shard's table.

    Args:
        table: The table, with the columns `id` and `vector`.
        whose: What the vectors belong to, for messages.

    Returns:
        float32 `[n, dim]` for each chunk of the table.

    Raises:
        MixlingError: A vector holds NaN or infinity.
    """
    matrices = [
        c.flatten().to_numpy(zero_copy_only=False).reshape(len(c), -1).astype(np.float32)
        for c in table["vector"].chunks
    ]
    begin = 0
    for matrix in matrices:
        check_finite_vectors(matrix, partial(_row_id, table, begin), whose)
        begin += len(matrix)
    return matrices


def _row_id(table: pa.Table, begin: int, row: int) -> str:
    """Return the quoted id of a row, counted from `begin`."""
    return f"'{table['id'][begin + row].as_py()}'"
