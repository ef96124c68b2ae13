"""Express an affine transform as modules that sentence-transformers applies after an encoder."""

from __future__ import annotations

from typing import Any

import numpy as np


def affine_modules(matrix: np.ndarray, bias: np.ndarray) -> list[Any]:
    """Return modules that compute x matrix^T + bias and scale the result to length 1.

    Args:
        matrix: float32 `[dim, dim]`.
        bias: float32 `[dim]`.

    Returns:
        A Dense and a Normalize module.
    """
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    size = len(bias)
    dense = Dense(
        size,
        size,
        bias=True,
        activation_function=torch.nn.Identity(),
        init_weight=torch.from_numpy(matrix),
        init_bias=torch.from_numpy(bias),
    )
    return [dense, Normalize()]
