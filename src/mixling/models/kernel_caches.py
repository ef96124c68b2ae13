"""Bounds the memory that torch keeps for the matrix products of encoders.

For each shape of a product in bf16, oneDNN compiles a kernel and keeps it. A kernel takes about
0.7 MB on a processor with AMX. torch keeps 1,024 of them for each kind of operation, and oneDNN
another 1,024, so a server whose texts have ever new lengths grows by more than a gigabyte.
"""

from __future__ import annotations

import os

# Kernels that each cache keeps. A call of the encoder uses some twenty in each layer, and compiles
# all of them in each layer if the caches keep fewer. A training step uses more: it has no limit.
CAPACITY = 64
VARIABLES = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")


def limit_kernel_caches() -> None:
    """Limit the caches of compiled kernels, unless the environment states their sizes.

    torch and oneDNN read the sizes at the first product, so this comes before it. For processes
    that encode and do not train.
    """
    for name in VARIABLES:
        os.environ.setdefault(name, str(CAPACITY))
