"""Vectors made elsewhere: the queries and passages of a task, found by their ids.

A folder holds the vectors in one or more files of these forms, or in folders `queries` and
`passages` of such files:

| form | content |
|---|---|
| `NAME.parquet` | columns `id` and `vector` (or `embedding`), and `role` |
| `NAME.jsonl` | objects with `id` and `vector` (or `embedding`), and `role` |
| `NAME.npy` | vectors `[n, dim]`; `NAME.txt` has an id a line, `NAME.json` a list of ids, \
`NAME.jsonl` objects with `id` and `role`, such as `mixling texts` writes |

Ids are those of `mixling texts`. The role is `query` or `passage`; without it, it is that of the
file's or folder's name, which then begins with "quer" or "passage".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mixling.corpora.files import read_array, read_parquet, table_lines
from mixling.corpora.json_files import read_json, read_json_lines
from mixling.errors import BadRowError, MixlingError, Skipped, check_finite_vectors, choose
from mixling.evaluation.ranks import DotScorer, Scorer
from mixling.evaluation.result import file_name
from mixling.evaluation.runs import hash_files, id_rows
from mixling.evaluation.tasks import Task
from mixling.evaluation.trec import trec_ids

ROLES = ("query", "passage")
_VECTOR_COLUMNS = ("vector", "embedding")
_SUFFIXES = (".parquet", ".jsonl", ".npy")
_SHOWN_IDS = 3


class VectorRows(NamedTuple):
    """Some vectors of a file: ids, role of each, and float32 `[n, dim]`."""

    ids: list[str]
    roles: list[str]
    vectors: np.ndarray


class GivenVectors:
    """Vectors of a folder in place of an encoder.

    Args:
        folder: The folder, or with several tasks a folder that holds one for each.
        similarity: "cosine" or "dot", by which queries and passages are compared.

    Raises:
        MixlingError: There is no such folder, or the similarity is another one.
    """

    precision = "given"

    def __init__(self, folder: str | Path, similarity: str = "cosine"):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise MixlingError(
                f"{folder}: the folder does not exist. Give a folder of vectors with --vectors DIR."
            )
        self.similarity = choose(similarity, ("cosine", "dot"), "similarity")
        digest = hash_files(p for p in sorted(self.folder.rglob("*")) if p.is_file())
        self.name = f"vectors:{self.folder.resolve().name} ({digest[:8]})"
        self.origin: dict[str, Any] = {
            "vectors": str(self.folder),
            "sha256": digest,
            "similarity": self.similarity,
        }

    def scorer(self, task: Task) -> tuple[Scorer, dict[str, Any]]:
        """Read the vectors of a task.

        Args:
            task: The task.

        Returns:
            The scorer, and the number of vectors and those of other texts.

        Raises:
            MixlingError: A vector is missing, stands twice, holds NaN, or has another dimension
                than the first.
        """
        own = self.folder / file_name(task.name)
        folder = own if own.is_dir() else self.folder
        queries, passages, other = read_task_vectors(folder, task)
        if self.similarity == "cosine":
            for vectors in (queries, passages):
                norm = np.linalg.norm(vectors, axis=1, keepdims=True)
                np.divide(vectors, np.maximum(norm, 1e-12), out=vectors)
        counts: dict[str, Any] = {
            "vectors": {
                "queries": len(queries),
                "passages": len(passages),
                "dimensions": queries.shape[1],
                "of_other_texts": other,
            }
        }
        return DotScorer(queries, passages), counts


def read_task_vectors(folder: Path, task: Task) -> tuple[np.ndarray, np.ndarray, int]:
    """Read the vectors of a task's queries and passages.

    Args:
        folder: Folder of the vectors.
        task: The task.

    Returns:
        float32 `[n_queries, dim]` and `[n_passages, dim]`, in the task's order, and the number of
        vectors of other texts.

    Raises:
        MixlingError: A vector is missing, stands twice, holds NaN or infinity, or has another
            dimension than the first.
    """
    rows = dict(zip(ROLES, id_rows(task), strict=True))
    names = dict(zip(ROLES, trec_ids(task), strict=True))
    found = {role: np.zeros(len(names[role]), bool) for role in ROLES}
    vectors: dict[str, np.ndarray] = {}
    dimensions, first_file = 0, Path()
    other = 0
    repeated: list[str] = []
    for path in _vector_files(folder):
        for part in _read_file(path):
            dim = part.vectors.shape[1]
            if not dimensions:
                dimensions, first_file = dim, path
                vectors = {r: np.zeros((len(names[r]), dim), np.float32) for r in ROLES}
            if dim != dimensions:
                raise MixlingError(
                    f"{path}: the vector of '{part.ids[0]}' has {dim} numbers, but those of "
                    f"{first_file} have {dimensions}. Make all vectors with one model."
                )
            check_finite_vectors(part.vectors, partial(_quoted_id, part.ids), str(path))
            for name, role, vector in zip(*part, strict=True):
                row = rows[role].get(name)
                if row is None:
                    other += 1
                elif found[role][row]:
                    repeated.append(f"{role} '{name}'")
                else:
                    found[role][row] = True
                    vectors[role][row] = vector
    missing = [
        f"{role} '{names[role][row]}'" for role in ROLES for row in np.flatnonzero(~found[role])
    ]
    total = len(task.queries) + len(task.passages)
    fix = f"`mixling texts {task.name} --out texts.jsonl` writes the texts with their ids"
    if repeated:
        raise MixlingError(
            f"{folder}: {len(repeated):,} texts have more than one vector: {_some(repeated)}. "
            "Keep one vector of each."
        )
    if missing:
        raise MixlingError(
            f"{folder}: {len(missing):,} of the {total:,} texts of the task '{task.name}' have "
            f"no vector: {_some(missing)}. {fix}."
        )
    return vectors["query"], vectors["passage"], other


def _quoted_id(ids: Sequence[str], row: int) -> str:
    """Return the quoted id of a row."""
    return f"'{ids[row]}'"


def _some(names: Sequence[str]) -> str:
    """List the first names."""
    more = f" and {len(names) - _SHOWN_IDS:,} more" if len(names) > _SHOWN_IDS else ""
    return ", ".join(names[:_SHOWN_IDS]) + more


def _vector_files(folder: Path) -> list[Path]:
    """List the files of vectors in a folder."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
    # a .jsonl beside a .npy of the same name holds its ids
    files = [p for p in files if p.suffix != ".jsonl" or not p.with_suffix(".npy").exists()]
    if not files:
        raise MixlingError(
            f"{folder}: the folder holds no vectors. Expected .parquet or .jsonl with `id`, "
            "`role` and `vector`, or .npy with the ids beside it as .txt, .json or .jsonl."
        )
    return files


def _read_file(path: Path) -> Iterator[VectorRows]:
    """Read the vectors of a file, in parts."""
    if path.suffix == ".parquet":
        yield from _read_parquet(path)
    elif path.suffix == ".npy":
        yield _read_npy(path)
    else:
        yield from _read_jsonl(path)


def _role_of_name(path: Path) -> str:
    """Return the role that the name of a file or of its folder means."""
    for name in (path.stem, path.parent.name):
        for role, beginning in (("query", "quer"), ("passage", "passage")):
            if name.lower().startswith(beginning):
                return role
    raise MixlingError(
        f"{path}: the file does not tell whether its vectors are of queries or of passages. Give "
        f"each row a `role` (query or passage), or name the file queries{path.suffix} or "
        f"passages{path.suffix}."
    )


def _check_role(role: Any, path: Path, line: int) -> str:
    """Return a row's role if it is one."""
    if role not in ROLES:
        fix = "write the role as `mixling texts` does"
        raise BadRowError(path, line, "role", role, "query or passage", fix)
    return str(role)


def _read_parquet(path: Path) -> Iterator[VectorRows]:
    """Read vectors of a Parquet file."""
    table = read_parquet(path, ("id",))
    column = next((c for c in _VECTOR_COLUMNS if c in table.column_names), None)
    if column is None:
        raise MixlingError(
            f"{path}: the file has no column 'vector'. Its columns are: "
            f"{', '.join(table.column_names)}. Expected id, vector and role."
        )
    has_role = "role" in table.column_names
    for batch in table.to_batches():
        ids = [str(x) for x in batch.column("id").to_pylist()]
        given = batch.column("role").to_pylist() if has_role else [_role_of_name(path)] * len(ids)
        roles = [_check_role(role, path, i) for i, role in enumerate(given, 1)]
        lists = batch.column(column)
        if not _is_list_of_numbers(lists.type):
            raise MixlingError(
                f"{path}: column '{column}' has the type {lists.type}. Expected lists of numbers."
            )
        if not ids:
            continue
        flat = lists.flatten().to_numpy(zero_copy_only=False)
        lengths = np.array([0 if x is None else x for x in lists.value_lengths().to_pylist()])
        if (lengths != lengths[0]).any() or not lengths[0]:
            row = int(np.argmax((lengths != lengths[0]) | (lengths == 0)))
            raise MixlingError(
                f"{path}: the vector of '{ids[row]}' has {lengths[row]} numbers, but that of "
                f"'{ids[0]}' has {lengths[0]}. Make all vectors with one model."
            )
        yield VectorRows(ids, roles, flat.reshape(len(ids), -1).astype(np.float32))


def _is_list_of_numbers(column: pa.DataType) -> bool:
    """Return whether an Arrow type is one of lists of numbers."""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_kind(column) for is_kind in kinds):
        return False
    value = column.value_type
    return bool(pa.types.is_floating(value) or pa.types.is_integer(value))


def _read_jsonl(path: Path) -> Iterator[VectorRows]:
    """Read vectors of a JSON-lines file."""
    for line, row in read_json_lines(path, Skipped()):
        vector = next((row[c] for c in _VECTOR_COLUMNS if c in row), None)
        if "id" not in row:
            fix = "take the ids of `mixling texts`"
            raise BadRowError(path, line, "id", None, "an id", fix)
        if not isinstance(vector, list) or not vector or not all(map(_is_number, vector)):
            raise BadRowError(path, line, "vector", vector, "a list of numbers", "correct the line")
        role = _check_role(row["role"], path, line) if "role" in row else _role_of_name(path)
        yield VectorRows([str(row["id"])], [role], np.array([vector], np.float32))


def _is_number(value: Any) -> bool:
    """Return whether a JSON value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _read_npy(path: Path) -> VectorRows:
    """Read an array of vectors and the ids beside it."""
    ids, roles = _read_ids(path)
    vectors = read_array(path)
    if vectors.ndim != 2 or not vectors.shape[1] or vectors.dtype.kind not in "fiu":
        raise MixlingError(
            f"{path}: the array has the type {vectors.dtype} and the shape "
            f"{list(vectors.shape)}. Expected numbers of shape [n, dim]."
        )
    if len(vectors) != len(ids):
        raise MixlingError(
            f"{path}: there are {len(vectors):,} vectors and {len(ids):,} ids. Expected one id "
            "for each vector."
        )
    if not ids:
        raise MixlingError(f"{path}: the file holds no vectors. Give a file with vectors.")
    return VectorRows(ids, roles, vectors.astype(np.float32))


def _read_ids(path: Path) -> tuple[list[str], list[str]]:
    """Read the ids beside an array, and their roles."""
    text, json, jsonl = (path.with_suffix(s) for s in (".txt", ".json", ".jsonl"))
    if jsonl.exists():
        ids, roles = [], []
        for line, row in read_json_lines(jsonl, Skipped()):
            if "id" not in row:
                raise BadRowError(
                    jsonl, line, "id", None, "an id", "take the ids of `mixling texts`"
                )
            ids.append(str(row["id"]))
            roles.append(
                _check_role(row["role"], jsonl, line) if "role" in row else _role_of_name(path)
            )
        return ids, roles
    if json.exists():
        content = read_json(json)
        if not isinstance(content, list):
            raise MixlingError(f"{json}: the file does not hold a list. Expected a list of ids.")
        ids = [str(x) for x in content]
    elif text.exists():
        ids = [line for _, line in table_lines(text)]
    else:
        raise MixlingError(
            f"{path}: no file of ids is beside it. Write the ids to {text.name} (one id per "
            f"line) or {json.name} (a list), in the order of the vectors."
        )
    return ids, [_role_of_name(path)] * len(ids)
