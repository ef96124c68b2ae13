"""The model `balanced`: the default encoder behind a trained map that comes with the package.

The map (maps/NAME.safetensors: matrix, bias; its metadata says how it was made) is one Dense layer after pooling, fitted on
public translations by `python -m studies.ship`, so that a search is fair without fitting anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mixling.models.affine import affine_modules
from mixling.models.weights import DEFAULT

NAME = "balanced"
MAPS = Path(__file__).parent / "transforms"


def path(model: str = DEFAULT) -> Path:
    """Where the map of an encoder lies."""
    return MAPS / f"{model.rpartition('/')[2]}.safetensors"


def read_shipped() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Matrix, float32 [d, d], bias, float32 [d], and how they were made."""
    from safetensors import safe_open

    with safe_open(path(), "np") as file:
        return (
            file.get_tensor("matrix"),
            file.get_tensor("bias"),
            json.loads(file.metadata()["made"]),
        )


def write_shipped(matrix: np.ndarray, bias: np.ndarray, made: dict[str, Any]) -> Path:
    """Keep a map with the package."""
    from safetensors.numpy import save_file

    MAPS.mkdir(exist_ok=True)
    save_file(
        {"matrix": matrix, "bias": bias}, path(), {"made": json.dumps(made, ensure_ascii=False)}
    )
    return path()


def shipped_modules() -> list[Any]:
    """What stands behind the encoder's own chain."""
    matrix, bias, _ = read_shipped()
    return affine_modules(matrix, bias)
