"""A transform of vectors as files: its tensors, how it was fitted, a script that applies it.

OUT/transform.safetensors, transform.json    the transform: its tensors and how it was fitted
OUT/matrix.npy, bias.npy                     the same as NumPy arrays, for one affine transform
OUT/apply.py                                 some lines of NumPy that apply it
OUT/encoder.json                             the encoder that it was fitted for, if it has a
                                             spelling: the folder is then a model
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from mixling.corpora.json_files import parse_record
from mixling.transforms.chain import ChainedTransform, Part, parts_of
from mixling.transforms.hub_correction import HubCorrection
from mixling.transforms.transforms import AffineTransform, LanguageTransform

TENSORS = "transform.safetensors"

AFFINE_SCRIPT = '''"""Apply the transform beside this file: python apply.py vectors.npy out.npy"""
import sys
from pathlib import Path

import numpy as np

here = Path(__file__).parent
matrix, bias = np.load(here / "matrix.npy"), np.load(here / "bias.npy")
x = np.load(sys.argv[1]).astype(np.float32) @ matrix.T + bias
length = np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
np.save(sys.argv[2], (x / length).astype(np.float32))
'''

SCRIPT = '''"""Apply the transform beside this file.

python apply.py vectors.npy query|passage out.npy [languages.txt: a language a line]
"""
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

here = Path(__file__).parent
parts = json.loads((here / "transform.json").read_text())["parts"]
tensors = load_file(here / "transform.safetensors")
x, role = np.load(sys.argv[1]).astype(np.float32), sys.argv[2]
side = 0 if role == "query" else 1
languages = Path(sys.argv[4]).read_text().split() if len(sys.argv) > 4 else [""] * len(x)


def unit(x):
    return (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)).astype(np.float32)


x = unit(x)
for number, part in enumerate(parts):
    prefix = f"{number}." if len(parts) > 1 else ""
    t = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    if part["type"] == "affine":
        x = x @ t["matrix"].T + t["bias"]
    elif part["type"] == "language":
        for row, language in enumerate(languages):
            if language in part["languages"]:
                i = part["languages"].index(language)
                z = x[row] - t["offset"][side, i]
                x[row] = z - (z @ t["basis"][i].T) @ t["basis"][i]
            elif "role_offset" in t:
                x[row] -= t["role_offset"][side]
    else:
        w, k, last = part["weight"], part["neighbors"], part["neighbors"] + part["skipped"]
        more = np.zeros((len(x), 2), np.float32)
        if role == "query":
            more[:, 0] = 1
            x = np.hstack([x, more])
        else:
            best = np.sort(x @ t["references"].T, axis=1)[:, -last:]
            more[:, 0] = -w / 2 * np.clip(best[:, :k].mean(1), -1, 1)
            more[:, 1] = np.sqrt(np.maximum(w**2 / 4 - more[:, 0] ** 2, 0))
            x = np.hstack([x, more])
    x = unit(x)
np.save(sys.argv[3], x)
'''

VectorTransform = Part | ChainedTransform
"""A transform of vectors: for all texts, by language, by reference queries, or several in a row."""


def write_transform(
    transform: VectorTransform, folder: Path, origin: dict[str, Any] | None = None
) -> None:
    """Write the tensors and the metadata of a transform, and the script for an affine one.

    Args:
        transform: The transform.
        folder: A folder that exists.
        origin: What it was fitted on, which goes into transform.json too.
    """
    if isinstance(transform, AffineTransform):
        np.save(folder / "matrix.npy", transform.matrix)
        np.save(folder / "bias.npy", transform.bias)
    script = AFFINE_SCRIPT if isinstance(transform, AffineTransform) else SCRIPT
    (folder / "apply.py").write_text(script)
    write_tensors(transform, folder, origin)


def write_tensors(
    transform: VectorTransform, folder: Path, origin: dict[str, Any] | None = None
) -> None:
    """Write transform.safetensors and transform.json alone.

    Args:
        transform: The transform.
        folder: A folder that exists.
        origin: What it was fitted on, which goes into transform.json too.
    """
    parts = parts_of(transform)
    content = {
        **transform.metadata,
        **(origin or {}),
        "parts": [_part_record(part) for part in parts],
    }
    arrays = {k: np.ascontiguousarray(v, np.float32) for k, v in transform.tensors().items()}
    save_file(arrays, folder / TENSORS)
    (folder / "transform.json").write_text(json.dumps(content, indent=1))


def read_transform(folder: Path) -> VectorTransform:
    """Read the transform that `write_transform` wrote.

    Args:
        folder: The folder.

    Raises:
        OSError, ValueError, KeyError, TypeError, SafetensorError: A file is missing or broken.
    """
    path = folder / "transform.json"
    metadata = parse_record(path.read_bytes(), path, {"parts": list})
    tensors, records = _read_tensors(folder), metadata.pop("parts")
    if len(records) == 1:
        return replace(_read_part(records[0], tensors), metadata=metadata)
    parts = []
    for i, record in enumerate(records):
        prefix = f"{i}."
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        parts.append(_read_part(record, own))
    return ChainedTransform(tuple(parts), metadata)


def _read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Read tensors as float32, whatever their number format (NumPy knows no bf16)."""
    from safetensors.torch import load_file

    return {k: v.float().numpy() for k, v in load_file(folder / TENSORS).items()}


def _part_record(part: Part) -> dict[str, Any]:
    """Return what transform.json says of a part, beside its tensors."""
    if isinstance(part, HubCorrection):
        return {
            "type": "hub",
            "neighbors": part.neighbors,
            "skipped": part.skipped,
            "weight": part.weight,
            "metadata": part.metadata,
        }
    if isinstance(part, LanguageTransform):
        return {"type": "language", "languages": list(part.languages), "metadata": part.metadata}
    return {"type": "affine", "metadata": part.metadata}


def _read_part(record: dict[str, Any], tensors: dict[str, np.ndarray]) -> Part:
    kind, metadata = record["type"], record["metadata"]
    if kind == "hub":
        return HubCorrection(
            tensors["references"],
            int(record["neighbors"]),
            int(record["skipped"]),
            float(record["weight"]),
            metadata,
        )
    if kind == "language":
        offset, basis = tensors["offset"], tensors["basis"]
        languages = tuple(str(x) for x in record["languages"])
        return LanguageTransform(
            languages, offset, basis, metadata=metadata, role_offset=tensors.get("role_offset")
        )
    if kind == "affine":
        return AffineTransform(tensors["matrix"], tensors["bias"], metadata)
    raise ValueError(f"the transform has the unknown type {kind!r}")
