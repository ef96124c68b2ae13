"""Tests of trainings with several seeds: translation groups and seeds both vary.

The mean over seeds says how these trainings differ. A claim about the method is about trainings
with other seeds as well. With m and n seeds, F_s the figure of a seed, D_g the contribution of
translation group g to the difference of the means (`significance.contributions`), and G groups, the
difference has the variance

    v_groups + v_seeds = G var(D_g) + s^2 (1/m + 1/n),  s^2 the variance of F_s within a method

and is tested by Student's t with the degrees of freedom of Satterthwaite (1946). Two methods with
three seeds each leave four degrees of freedom to s^2. It is surer if it is pooled over more methods
that were trained alike.
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


def seed_test(d: np.ndarray, variance: PooledVariance, seeds: tuple[int, int]) -> SeedTest:
    """Test a difference between two methods that were trained with several seeds.

    Args:
        d: float64 `[n_groups]`, contributions to the difference of the means over seeds.
        variance: The variance over seeds.
        seeds: The number of seeds of each method.

    Returns:
        The test; NaN for fewer than two groups.
    """
    from scipy.stats import t

    difference = float(d.sum())
    if len(d) < 2:
        return SeedTest(float("nan"), float("nan"), float("nan"))
    of_groups = len(d) * float(d.var(ddof=1))
    of_seeds = variance.value * (1 / seeds[0] + 1 / seeds[1])
    total = of_groups + of_seeds
    if total == 0:
        return SeedTest(difference, difference, float(difference == 0))
    freedom = total**2 / (of_groups**2 / (len(d) - 1) + of_seeds**2 / variance.freedom)
    half = float(t.ppf(0.975, freedom)) * total**0.5
    p = 2 * float(t.sf(abs(difference) / total**0.5, freedom))
    return SeedTest(difference - half, difference + half, p)
