"""Debiasing for those who have only vectors: fit on Parquet files, or take a map that is there; transform them, write the map.

OUT/matrix.npy, bias.npy, map.safetensors    the map
OUT/apply.py                                 ten lines of NumPy that apply it
OUT/vectors/*.parquet                        the files given, their vectors transformed
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import save_file

from mixling.corpora.json_files import parse_record
from mixling.corpora.languages import language_field
from mixling.debiasing.debias import METHODS, check_options, fit_transform
from mixling.debiasing.embedded_corpus import parquet_files, read_embedded, read_vectors
from mixling.debiasing.transforms import AffineTransform, LanguageTransform
from mixling.disk import new_folder
from mixling.errors import MixlingError, choose

SNIPPET = '''"""Applies the map beside this file: python apply.py vectors.npy out.npy"""
import sys
from pathlib import Path

import numpy as np

here = Path(__file__).parent
matrix, bias = np.load(here / "matrix.npy"), np.load(here / "bias.npy")
x = np.load(sys.argv[1]).astype(np.float32) @ matrix.T + bias
np.save(sys.argv[2], (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)).astype(np.float32))
'''


def debias_vectors(
    folder: str | Path, method: str, out: str | Path, **settings: Any
) -> AffineTransform | LanguageTransform:
    """Fit a map on stored vectors and transform them.

    folder: *.parquet with columns vector, language, group and role ("query" or "passage"). Settings as in
    `debias`. Raises MixlingError.
    """
    choose(method, [m for m in METHODS if m != "scores"], "method on vectors")
    check_options(method, settings)
    _free(out)
    stock, files = read_embedded(Path(folder))
    found = fit_transform(method, [stock], **settings)
    assert isinstance(found, AffineTransform | LanguageTransform)
    _write(found, files, Path(out))
    return found


def transform_vectors(
    folder: str | Path, name: str, out: str | Path
) -> AffineTransform | LanguageTransform:
    """Transform stored vectors by a map that is there already.

    folder: as in `debias_vectors`; a map for all texts needs the column vector alone, one by language also language and role.
    name: see `known`. The vectors must be of the model that the map was made for. Raises MixlingError.
    """
    _free(out)
    found = load_transform(name)
    _write(found, parquet_files(Path(folder)), Path(out))
    return found


def load_transform(name: str) -> AffineTransform | LanguageTransform:
    """A map: "balanced" (multilingual-e5-small's, which comes with the package), or what a folder holds that `debias` wrote,
    for a model or for vectors."""
    from mixling.models import shipped

    if name == shipped.NAME:
        matrix, bias, made = shipped.read_shipped()
        return AffineTransform(matrix, bias, made)
    try:
        return _of_folder(Path(name), name)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise MixlingError(
            f"{name}: its map cannot be read ({type(error).__name__}: {error}); fetch the folder again"
        ) from None


def _of_folder(folder: Path, name: str) -> AffineTransform | LanguageTransform:
    from mixling.models import shipped, trust
    from mixling.models.language_transform import LanguageTransformModule

    trust.plain_files(folder, name)
    if (folder / "map.safetensors").exists():
        path = folder / "map.json"
        made = parse_record(path.read_bytes(), path, {"languages_of_offset": (list, NoneType)})
        tensors = _numbers(folder / "map.safetensors")
        languages = made.pop("languages_of_offset")
        if languages is None:
            return AffineTransform(tensors["matrix"], tensors["bias"], made)
        return LanguageTransform(
            tuple(languages), tensors["offset"], tensors["basis"], settings=made
        )
    origin = folder / "origin.json"
    found = (parse_record(origin.read_bytes(), origin, {}) if origin.exists() else {}).get(
        "debiased"
    )
    made = found if isinstance(found, dict) else {}
    if made.get("method") in ("scores", "shift"):
        raise MixlingError(
            f"{name}: '{made['method']}' cannot be put on vectors that are stored already"
        )
    modules = json.loads((folder / "modules.json").read_text()) if made else []
    for module in reversed(modules):
        kind = str(module["type"])
        if kind.endswith(".Dense"):
            tensors = _numbers(folder / module["path"] / "model.safetensors")
            return AffineTransform(tensors["linear.weight"], tensors["linear.bias"], made)
        if kind.endswith(".LanguageTransformModule"):
            moved = LanguageTransformModule.load(str(folder), module["path"])
            return LanguageTransform(
                tuple(moved.languages), moved.offset.numpy(), moved.basis.numpy(), settings=made
            )
    raise MixlingError(
        f"{name}: no map; give {shipped.NAME}, or a folder that `mixling debias` wrote for a model or for vectors"
    )


def _numbers(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file in fp32, in whatever number format they are stored (NumPy knows no bf16)."""
    from safetensors.torch import load_file

    return {k: v.float().numpy() for k, v in load_file(path).items()}


def _free(out: str | Path) -> None:
    """Refuse a folder that is there."""
    if Path(out).exists():
        raise MixlingError(f"{out}: exists already; choose another folder or remove it")


def _write(found: AffineTransform | LanguageTransform, files: Sequence[Path], out: Path) -> None:
    """The map and the files with their vectors moved, complete or not at all."""
    with new_folder(out) as temporary:
        _write_into(found, files, temporary)


def _write_into(
    found: AffineTransform | LanguageTransform, files: Sequence[Path], temporary: Path
) -> None:
    (temporary / "vectors").mkdir()
    size = len(found.bias) if isinstance(found, AffineTransform) else found.offset.shape[2]
    columns = ("vector",) if isinstance(found, AffineTransform) else ("vector", "language", "role")
    for path in files:
        table, vector = read_vectors(path, columns)
        if vector.shape[1] != size:
            raise MixlingError(
                f"{path}: vectors of {vector.shape[1]} numbers, the map is for {size}: it was made for another model"
            )
        if isinstance(found, AffineTransform):
            moved = found.transform(vector)
        else:
            moved = np.empty_like(vector)
            roles = np.array(table["role"].to_pylist())
            other = set(roles.tolist()) - {"query", "passage"}
            if other:
                raise MixlingError(
                    f"{path}: field 'role': found {other.pop()!r}, expected query or passage"
                )
            languages = np.array(
                [
                    language_field(x, "language", path, i)
                    for i, x in enumerate(table["language"].to_pylist(), 1)
                ]
            )
            for role in ("query", "passage"):
                rows = roles == role
                moved[rows] = found.transform(vector[rows], languages[rows].tolist(), role)
        column = pa.FixedSizeListArray.from_arrays(pa.array(moved.ravel()), vector.shape[1])
        pq.write_table(table.append_column("vector", column), temporary / "vectors" / path.name)
    _save(found, temporary)


def _save(found: AffineTransform | LanguageTransform, folder: Path) -> None:
    if isinstance(found, AffineTransform):
        np.save(folder / "matrix.npy", found.matrix)
        np.save(folder / "bias.npy", found.bias)
        (folder / "apply.py").write_text(SNIPPET)
        tensors = {"matrix": found.matrix, "bias": found.bias}
    else:
        tensors = {"offset": found.offset, "basis": found.basis}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / "map.safetensors")
    languages = list(found.languages) if isinstance(found, LanguageTransform) else None
    (folder / "map.json").write_text(
        json.dumps({**found.settings, "languages_of_offset": languages}, indent=1)
    )
