"""Connected components of a bipartite graph, such as of queries and passages."""

from __future__ import annotations

import numpy as np


def connected_components(
    left: np.ndarray, right: np.ndarray, n_left: int, n_right: int
) -> np.ndarray:
    """Return the connected components of a bipartite graph.

    Args:
        left: The left node of each edge, int64 `[edges]`.
        right: The right node of each edge, int64 `[edges]`.
        n_left: Number of left nodes.
        n_right: Number of right nodes.

    Returns:
        The component of each node, the left nodes first: int32 `[n_left + n_right]`.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = n_left + n_right
    edges = coo_matrix((np.ones(len(left), np.int8), (left, right + n_left)), shape=(n, n))
    label: np.ndarray = connected_components(edges, directed=False)[1]
    return label
