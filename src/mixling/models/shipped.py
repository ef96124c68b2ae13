"""Load the model `balanced`: the default encoder and a trained transform that ships with Mixling.

The transform (transforms/NAME.safetensors, with `matrix` and `bias`) is one Dense layer after the
pooling. `python -m studies.ship` fits it on public translations, so that users search fairly
without fitting anything. The file's metadata says how it was fitted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mixling.models.affine import affine_modules
from mixling.models.weights import DEFAULT

NAME = "balanced"
TRANSFORMS = Path(__file__).parent / "transforms"


def shipped_path(model: str = DEFAULT) -> Path:
    """Return the path of the transform of an encoder.

    Args:
        model: The encoder's hub name.

    Returns:
        A path inside the package; the file need not exist.
    """
    return TRANSFORMS / f"{model.rpartition('/')[2]}.safetensors"


def read_shipped() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Read the transform of the default encoder.

    Returns:
        The matrix, float32 `[dim, dim]`; the bias, float32 `[dim]`; and the metadata.
    """
    from safetensors import safe_open

    with safe_open(shipped_path(), "np") as file:
        matrix, bias = file.get_tensor("matrix"), file.get_tensor("bias")
        return matrix, bias, json.loads(file.metadata()["made"])


def write_shipped(matrix: np.ndarray, bias: np.ndarray, metadata: dict[str, Any]) -> Path:
    """Write the transform of the default encoder into the package.

    Args:
        matrix: float32 `[dim, dim]`.
        bias: float32 `[dim]`.
        metadata: How the transform was fitted.

    Returns:
        The file's path.
    """
    from safetensors.numpy import save_file

    path = shipped_path()
    path.parent.mkdir(exist_ok=True)
    save_file(
        {"matrix": matrix, "bias": bias}, path, {"made": json.dumps(metadata, ensure_ascii=False)}
    )
    return path


def shipped_modules() -> list[Any]:
    """Return the modules that follow the default encoder's chain: Dense and Normalize."""
    matrix, bias, _ = read_shipped()
    return affine_modules(matrix, bias)
