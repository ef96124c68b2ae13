"""Says whether a store's transform by language still fits its passages.

Such a transform takes the mean of each language out. As documents come and go, the means move, and
language explains a share of the vectors' variance again. That share follows from the means and
counts that a store keeps. It goes along with what the transform no longer brings: .01 of
multilingual mAP on LibreOffice's help at `REFIT`, with multilingual-e5-small
(docs/guides/collection.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

REFIT = 0.03  # share from which a transform is better fitted again


def language_variance(
    means: Mapping[str, Sequence[float] | np.ndarray], counts: Mapping[str, int]
) -> float:
    """Compute the share of the variance of unit vectors that language explains.

    It is omega squared, which subtracts what means of few vectors differ by chance, cut at 0.

    Args:
        means: Mean vector of the passages of each language, `[dim]` each.
        counts: Passages of each language.

    Returns:
        A share from 0 to 1; 0 for fewer than two languages.

    Example:
        >>> language_variance({"de": [1.0, 0.0], "en": [0.0, 1.0]}, {"de": 50, "en": 50})
        1.0
    """
    codes = [x for x in means if counts.get(x)]
    n = np.array([counts[x] for x in codes], np.float64)
    total_count, groups = n.sum(), len(codes)
    if groups < 2 or total_count <= groups:
        return 0.0
    rows = np.stack([np.asarray(means[x], np.float64) for x in codes])
    overall = (n[:, None] * rows).sum(0) / total_count
    total = total_count * (1 - overall @ overall)
    between = (n * ((rows - overall) ** 2).sum(1)).sum()
    within = max(total - between, 0.0) / (total_count - groups)
    share = (between - (groups - 1) * within) / (total + within)
    return float(np.clip(share, 0, 1)) if total > 0 else 0.0
