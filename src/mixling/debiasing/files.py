"""Debias stored vectors: fit a transform on Parquet files, or read one; transform the files.

OUT/transform.safetensors, transform.json    the transform: its tensors and how it was fitted
OUT/matrix.npy, bias.npy                     the same as NumPy arrays, for one affine transform
OUT/apply.py                                 ten lines of NumPy that apply it
OUT/vectors/*.parquet                        the files, their vectors transformed
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError

from mixling.corpora.json_files import parse_record
from mixling.corpora.languages import language_field
from mixling.debiasing.debias import fit_transform
from mixling.debiasing.embedded_corpus import parquet_files, read_embedded, read_vectors
from mixling.debiasing.method import DebiasingMethod
from mixling.debiasing.registry import METHODS, create_method
from mixling.disk import new_folder
from mixling.errors import MixlingError, choose
from mixling.models import shipped
from mixling.transforms.files import TENSORS, read_transform, write_transform
from mixling.transforms.files import VectorTransform as VectorTransform
from mixling.transforms.transforms import AffineTransform, LanguageTransform


def debias_vectors(
    source: str | Path, method: str | DebiasingMethod, out: str | Path
) -> VectorTransform:
    """Fit a transform on stored vectors and transform them.

    Args:
        source: A folder of *.parquet, or one file, with columns `vector`, `language`, `group` and
            `role` ("query" or "passage").
        method: The name of a method with its defaults, or a method with options. It must transform
            vectors, which "scores" does not.
        out: The folder to write; it must not exist.

    Returns:
        The transform.

    Raises:
        MixlingError: The method, the files or `out` cannot be used.

    Example:
        >>> debias_vectors("vectors", "lsar", "fair")
        AffineTransform(dim=1024, metadata={'method': 'lsar', 'rank': 11, 'languages': 12})
    """
    names = [name for name, cls in METHODS.items() if cls.transforms_vectors]
    if isinstance(method, str):
        method = create_method(choose(method, names, "method on vectors"))
    elif not method.transforms_vectors:
        choose(method.name, names, "method on vectors")
    _check_absent(out)
    corpus, files = read_embedded(Path(source))
    transform = fit_transform(method, [corpus])
    assert isinstance(transform, AffineTransform | LanguageTransform)
    _write_folder(transform, files, Path(out))
    return transform


def transform_vectors(source: str | Path, name: str, out: str | Path) -> VectorTransform:
    """Transform stored vectors by a transform that was fitted before.

    Args:
        source: A folder of *.parquet, or one file. It needs the column `vector`, and for a
            transform by language also `language` and `role`. The vectors must be of the model that
            the transform was fitted for.
        name: The transform, as `load_transform` takes it.
        out: The folder to write; it must not exist.

    Returns:
        The transform.

    Raises:
        MixlingError: The transform, the files or `out` cannot be used.

    Example:
        >>> transform_vectors("vectors", "balanced", "fair").dimensions
        384
    """
    _check_absent(out)
    transform = load_transform(name)
    _write_folder(transform, parquet_files(Path(source)), Path(out))
    return transform


def load_transform(name: str) -> VectorTransform:
    """Read a transform.

    Args:
        name: "balanced", the transform for multilingual-e5-small that comes with the package, or a
            folder that `debias` or `debias_vectors` wrote.

    Returns:
        The transform.

    Raises:
        MixlingError: The folder has no transform of vectors.

    Example:
        >>> load_transform("balanced").matrix.shape
        (384, 384)
    """
    if name == shipped.NAME:
        matrix, bias, metadata = shipped.read_shipped()
        return AffineTransform(matrix, bias, metadata)
    try:
        return _read_folder(Path(name), name)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise MixlingError(
            f"{name}: its transform cannot be read ({type(error).__name__}: {error}). Fetch the "
            "folder again."
        ) from None


def _read_folder(folder: Path, name: str) -> VectorTransform:
    """Read the transform of a folder of vectors or of a model."""
    from mixling.models import trust

    trust.check_regular_files(folder, name)
    if (folder / TENSORS).exists():
        return read_transform(folder)
    return _read_modules(folder, name)


def _read_modules(folder: Path, name: str) -> VectorTransform:
    """Read the transform of a model that was saved again, without the transform's own files."""
    path = folder / "origin.json"
    origin = (parse_record(path.read_bytes(), path, {}) if path.exists() else {}).get("debiased")
    metadata = origin if isinstance(origin, dict) else {}
    if metadata.get("method") in ("scores", "shift"):
        raise MixlingError(
            f"{name}: a transform of method '{metadata['method']}' cannot be applied to stored "
            "vectors. Use one that transforms vectors, such as lsar."
        )
    modules = json.loads((folder / "modules.json").read_text()) if metadata else []
    added = [x for x in modules if not str(x["type"]).endswith(".Normalize")][-1:]
    if added and str(added[0]["type"]).endswith(".Dense"):
        from safetensors.torch import load_file

        tensors = load_file(folder / added[0]["path"] / "model.safetensors")
        matrix, bias = (tensors[f"linear.{x}"].float().numpy() for x in ("weight", "bias"))
        return AffineTransform(matrix, bias, metadata)
    raise MixlingError(
        f"{name}: there is no transform here. Give {shipped.NAME}, or a folder that `mixling "
        "debias` wrote for a model or for vectors."
    )


def _check_absent(out: str | Path) -> None:
    """Refuse to overwrite an existing folder."""
    if Path(out).exists():
        raise MixlingError(
            f"{out}: the folder exists already. Choose another folder, or remove it."
        )


def _write_folder(transform: VectorTransform, files: Sequence[Path], out: Path) -> None:
    """Write the transform and the files with their vectors transformed, all or nothing."""
    with new_folder(out) as temporary:
        (temporary / "vectors").mkdir()
        for path in files:
            table, vectors = _transform_file(transform, path)
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
            pq.write_table(table.append_column("vector", column), temporary / "vectors" / path.name)
        write_transform(transform, temporary)


def _transform_file(transform: VectorTransform, path: Path) -> tuple[pa.Table, np.ndarray]:
    """Return the other columns of a file, and its vectors transformed."""
    by_language = isinstance(transform, LanguageTransform)
    table, vectors = read_vectors(
        path, ("vector", "language", "role") if by_language else ("vector",)
    )
    if vectors.shape[1] != transform.dimensions:
        raise MixlingError(
            f"{path}: the vectors have {vectors.shape[1]} numbers, but the transform is for "
            f"{transform.dimensions}, so it was made for another model. Give a transform that "
            "was fitted for this model."
        )
    if not by_language:
        return table, transform.transform(vectors, None)
    roles = np.array(table["role"].to_pylist())
    unknown = set(roles.tolist()) - {"query", "passage"}
    if unknown:
        raise MixlingError(
            f"{path}: field 'role': found {unknown.pop()!r}, expected query or passage; "
            "correct the rows"
        )
    languages = np.array(
        [
            language_field(x, "language", path, i)
            for i, x in enumerate(table["language"].to_pylist(), 1)
        ]
    )
    transformed = np.empty_like(vectors)
    for role in ("query", "passage"):
        rows = roles == role
        transformed[rows] = transform.transform(vectors[rows], languages[rows].tolist(), role)
    return table, transformed
