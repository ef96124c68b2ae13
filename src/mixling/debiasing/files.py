"""Debiasing for those who have only vectors: fit on Parquet files, transform them, write the map with its recipe.

OUT/matrix.npy, bias.npy, map.safetensors    the map
OUT/apply.py                                 ten lines of NumPy that apply it
OUT/vectors/*.parquet                        the files given, their vectors transformed
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixling.debiasing.debias import METHODS, check, fitted
from mixling.debiasing.maps import Affine, ByLanguage
from mixling.debiasing.stock import of_files, read
from mixling.errors import MixlingError, choose

SNIPPET = '''"""Applies the map beside this file: python apply.py vectors.npy out.npy"""
import sys
from pathlib import Path

import numpy as np

here = Path(__file__).parent
matrix, bias = np.load(here / "matrix.npy"), np.load(here / "bias.npy")
x = np.load(sys.argv[1]) @ matrix.T + bias
np.save(sys.argv[2], (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))
'''


def debias_vectors(folder: str | Path, method: str, out: str | Path, **settings: Any) -> Affine | ByLanguage:
    """Fit a map on stored vectors and transform them.

    folder: *.parquet with columns vector, language, group and role ("query" or "passage"). Settings as in
    `debias`. Raises MixlingError.
    """
    choose(method, [m for m in METHODS if m != "scores"], "method on vectors")
    check(method, settings)
    out = Path(out)
    if out.exists():
        raise MixlingError(f"{out}: exists already; choose another folder or remove it")
    stock, files = of_files(Path(folder))
    found = fitted(method, [stock], **settings)
    assert isinstance(found, Affine | ByLanguage)
    temporary = out.with_name(out.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "vectors").mkdir(parents=True)
    for path in files:
        table, vector = read(path)
        moved = np.empty_like(vector)
        roles = np.array(table["role"].to_pylist())
        languages = np.array(table["language"].to_pylist())
        for role in ("query", "passage"):
            rows = roles == role
            moved[rows] = found.apply(vector[rows], languages[rows].tolist(), role)
        column = pa.FixedSizeListArray.from_arrays(pa.array(moved.ravel()), vector.shape[1])
        pq.write_table(table.append_column("vector", column), temporary / "vectors" / path.name)
    _save(found, temporary)
    temporary.rename(out)
    return found


def _save(found: Affine | ByLanguage, folder: Path) -> None:
    from safetensors.numpy import save_file

    if isinstance(found, Affine):
        np.save(folder / "matrix.npy", found.matrix)
        np.save(folder / "bias.npy", found.bias)
        (folder / "apply.py").write_text(SNIPPET)
        tensors = {"matrix": found.matrix, "bias": found.bias}
    else:
        tensors = {"offset": found.offset, "basis": found.basis}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / "map.safetensors")
    languages = list(found.languages) if isinstance(found, ByLanguage) else None
    (folder / "map.json").write_text(json.dumps({**found.made, "languages_of_offset": languages}, indent=1))
