"""One affine map behind an encoder, as modules that plain sentence-transformers applies."""

from __future__ import annotations

from typing import Any

import numpy as np


def affine_modules(matrix: np.ndarray, bias: np.ndarray) -> list[Any]:
    """[Dense, Normalize] for x -> x matrix^T + bias, brought to length one. matrix: float32 [d, d]; bias: float32 [d]."""
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
