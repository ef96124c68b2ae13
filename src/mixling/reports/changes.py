"""Judges one figure of two runs: better, worse, or no detectable difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixling.evaluation.bias.table import ALL
from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS
from mixling.evaluation.significance import Comparison

# The largest change of a scenario's mAP on XQuAD-R when the encoder computes in bf16 and not in
# fp32 (benchmarks/matrix.json, "largest change"). A smaller difference between two runs may come
# from the number format, so it is never called better or worse.
PRECISION_EFFECT = 0.0005
LEVEL = 0.05  # of the adjusted p-value
SAME = "no detectable difference"
TOO_SMALL = (
    f"smaller than {PRECISION_EFFECT}, which the number format alone (bf16 or fp32) can change"
)


@dataclass(frozen=True)
class Change:
    """The outcome of a comparison.

    Args:
        outcome: "better", "worse", "no detectable difference"; "higher" or "lower" for a measure
            that only describes.
        reason: Why the outcome is not what the interval suggests; "" where it is.
        is_too_small: Whether the difference is below the number format's own effect.
        is_corrected: Whether the correction for many tests alone keeps it from being better or
            worse.
    """

    outcome: str
    reason: str = ""
    is_too_small: bool = False
    is_corrected: bool = False


def judge(comparison: Comparison, measure: str, tests: int = 1) -> Change:
    """Judge the outcome of a comparison.

    Args:
        comparison: The comparison, with its adjusted p-value.
        measure: Name of the measure.
        tests: Number of comparisons over which p-values were adjusted.

    Returns:
        The outcome, and why it is not what the interval suggests.
    """
    c = comparison
    if is_too_small(c.difference, measure):
        return Change(SAME, f"the difference is {TOO_SMALL}" if c.difference else "", True)
    without_zero = c.low > 0 or c.high < 0
    p_holm = c.p if c.p_holm is None else c.p_holm
    if p_holm >= LEVEL:
        if not without_zero:
            return Change(SAME)
        is_corrected = c.p < LEVEL
        if is_corrected:
            why = f"the correction for {tests} tests (Holm) raises p from {c.p:.3f} to {p_holm:.3f}"
        else:
            why = f"the permutation test gives p = {c.p:.3f}"
        reason = f"the interval excludes zero, but {why}"
        return Change(SAME, reason, is_corrected=is_corrected)
    better = ALL[measure].better if measure in ALL else "high"
    rises = c.difference > 0
    outcome = (
        ("higher" if rises else "lower")
        if not better
        else "better"
        if rises == (better == "high")
        else "worse"
    )
    reason = "" if without_zero else f"the interval includes zero, but p = {p_holm:.3f} (Holm)"
    return Change(outcome, reason)


def is_too_small(difference: float, measure: str) -> bool:
    """Return whether a difference is below the number format's own effect.

    Args:
        difference: Difference of two means.
        measure: Name of the measure; the effect was measured on scores of rankings.
    """
    return (measure in METRICS or measure in MULTILINGUAL_METRICS) and abs(
        difference
    ) < PRECISION_EFFECT


def mark(comparison: Comparison | None, measure: str) -> str:
    """Return the stars of a comparison, or "≈" where the difference is too small to mark."""
    if comparison is None:
        return ""
    if comparison.mark and is_too_small(comparison.difference, measure):
        return "≈"
    return comparison.mark


def number_of_tests(tested: Mapping[str, Mapping[str, Comparison]]) -> int:
    """Count the comparisons over which p-values were adjusted together."""
    return sum(len(measures) for measures in tested.values())


def precision_warning(summaries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Warn where results were computed in different number formats.

    Args:
        summaries: Summary of each run.
        names: Name of each run.

    Returns:
        A warning that names the formats; "" where they are the same.
    """
    formats: dict[str, list[str]] = {}
    for summary, name in zip(summaries, names, strict=True):
        formats.setdefault(str(summary.get("precision", "unknown")), []).append(name)
    if len(formats) < 2:
        return ""
    parts = [f"{', '.join(dict.fromkeys(runs))} in {form}" for form, runs in formats.items()]
    return (
        f"The runs were computed in different number formats: {'; '.join(parts)}. The format alone "
        f"changes mAP by up to {PRECISION_EFFECT}, so smaller differences are not marked. Measure "
        "all with `--precision fp32` to compare them without it."
    )
