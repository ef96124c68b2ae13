"""Tests of trainings with several seeds: translation groups and seeds both vary.

The mean over seeds says how these trainings differ. A claim about the method is about trainings
with other seeds as well. With m and n seeds, F_s the figure of a seed, D_g the contribution of
translation group g to the difference of the means (`significance.contributions`), and G groups, the
difference has the variance

    v_groups + v_seeds = G var(D_g) + s^2 (1/m + 1/n),  s^2 the variance of F_s within a method

and is tested by Student's t with the degrees of freedom of Satterthwaite (1946). Two methods with
three seeds each leave four degrees of freedom to s^2. It is surer if it is pooled over more methods
that were trained alike.

Methods that draw the same batches from a seed rise and fall together. What the seed does to all of
them cancels in their difference, so s^2 is then the residual variance of methods by seeds
(`paired_variance`), which is smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PooledVariance:
    """The variance of a figure over the seeds of one method, from several methods.

    Args:
        value: The variance.
        freedom: Its degrees of freedom.
    """

    value: float
    freedom: int


def pooled_variance(figures: Sequence[Sequence[float]]) -> PooledVariance:
    """Pool the variance over seeds.

    Args:
        figures: The figure of each seed, by method. More methods make the variance surer.

    Returns:
        The variance; NaN where no method has two seeds.
    """
    freedom = sum(len(x) - 1 for x in figures)
    squares = sum(float(np.sum((np.array(x) - np.mean(x)) ** 2)) for x in figures)
    return PooledVariance(squares / freedom if freedom else float("nan"), freedom)


def paired_variance(blocks: Sequence[np.ndarray]) -> PooledVariance:
    """Return the variance over seeds that methods with the same batches do not share.

    It is the residual mean square of a two-way analysis of variance (methods by seeds, without
    interaction), pooled over blocks.

    Args:
        blocks: float64 `[n_methods, n_seeds]` each: figures of methods that draw the same batches
            from a seed.

    Returns:
        The variance; NaN where no block has two methods and two seeds.
    """
    squares, freedom = 0.0, 0
    for x in blocks:
        if min(x.shape) < 2:
            continue
        residual = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean()
        squares += float(np.sum(residual**2))
        freedom += (x.shape[0] - 1) * (x.shape[1] - 1)
    return PooledVariance(squares / freedom if freedom else float("nan"), freedom)


@dataclass(frozen=True)
class SeedTest:
    """The test of a difference that counts the variance over groups and over seeds.

    Args:
        low: Lower end of the 95 % interval.
        high: Upper end.
        p: Two-sided p-value.
    """

    low: float
    high: float
    p: float


def seed_test(d: np.ndarray, variance: PooledVariance, seeds: tuple[float, float]) -> SeedTest:
    """Test a difference between two methods that were trained with several seeds.

    Args:
        d: float64 `[n_groups]`, contributions to the difference of the means over seeds.
        variance: The variance over seeds.
        seeds: The number of seeds of each method, infinity for one that is not trained.

    Returns:
        The test; NaN for fewer than two groups.
    """
    from scipy.stats import t

    difference = float(d.sum())
    if len(d) < 2:
        return SeedTest(float("nan"), float("nan"), float("nan"))
    of_groups = len(d) * float(d.var(ddof=1))
    shares = 1 / seeds[0] + 1 / seeds[1]
    of_seeds = variance.value * shares if shares else 0.0
    total = of_groups + of_seeds
    if total == 0:
        return SeedTest(difference, difference, float(difference == 0))
    freedom = of_groups**2 / (len(d) - 1)
    if of_seeds:
        freedom += of_seeds**2 / variance.freedom
    freedom = total**2 / freedom
    half = float(t.ppf(0.975, freedom)) * total**0.5
    p = 2 * float(t.sf(abs(difference) / total**0.5, freedom))
    return SeedTest(difference - half, difference + half, p)
