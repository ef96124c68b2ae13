"""Make the tables and the chart of docs/results/seeds.md from studies/seeds.json."""

from __future__ import annotations

import itertools
from typing import Any

from scipy.stats import t as student

from docs import summaries, trials

PAGE = "docs/results/seeds.md"
Row = dict[str, Any]
DIGITS = {"monolingual": 3, "cross-lingual": 3, "multilingual": 3, "rank distance": 0}
POOL = "multilingual"
# what the results pages claim of two methods
CLAIMS = (
    ("hybrid", "x-y (XLCO)"),
    ("x-x-mono", "hybrid"),
    ("x-y (XLCO)", "MIMO, itself as teacher"),
    ("x-y (XLCO)", "JSD"),
    ("x-y (XLCO)", "CLEAR"),
    ("hybrid", "hybrid + bitext"),
    ("x-y (XLCO)", "hybrid + bitext"),
    ("hybrid", "OPTICAL"),
    ("x-x-mono", "LaKDA"),
)


def _tests() -> dict[str, Row]:
    """Return the tests of each figure."""
    found: dict[str, Row] = trials.study_result("seeds")["tests"]
    return found


def _name(method: str) -> str:
    return summaries.NAMES.get(method, method)


def _by_pool() -> list[str]:
    """Return the methods, the best in the pool first."""
    found = _tests()[POOL]["means"]
    return sorted(found, key=lambda m: -found[m])


def methods() -> list[Row]:
    """Return the mean over seeds of every figure, with the least and the greatest."""
    rows = []
    for method in _by_pool():
        row = {"model": _name(method)}
        for figure, digits in DIGITS.items():
            test = _tests()[figure]
            values = test["by seed"][method]
            row[figure] = (
                f"{test['means'][method]:.{digits}f} "
                f"({min(values):.{digits}f} to {max(values):.{digits}f})"
            )
        rows.append(row)
    return rows


def _difference(figure: str, first: str, second: str) -> str:
    """Return second minus first with its interval, in parentheses if it may be chance."""
    pairs, sign = _tests()[figure]["pairs"], 1
    test = pairs.get(f"{first} | {second}")
    if test is None:
        test, sign = pairs[f"{second} | {first}"], -1
    low, high = sorted((sign * test["low"], sign * test["high"]))
    return trials.change(
        {"difference": sign * test["difference"], "low": low, "high": high, "p": test["p_holm"]},
        DIGITS[figure],
    )


def claims() -> list[Row]:
    """Return the differences that the other pages speak of."""
    return [
        {
            "from": _name(first),
            "to": _name(second),
            **{figure: _difference(figure, first, second) for figure in DIGITS},
        }
        for first, second in CLAIMS
    ]


def deviations() -> list[Row]:
    """Return how far seeds lie apart, and which differences are chance by that alone."""
    rows = []
    for figure, test in _tests().items():
        row = {"figure": figure}
        for title, ending in (("other batches", ""), ("same batches", ", same batches")):
            deviation = test[f"deviation{ending or ' over seeds'}"]
            freedom = test[f"degrees of freedom{ending}"]
            quantile = float(student.ppf(0.975, freedom))
            digits = 4 if DIGITS[figure] else 1
            row[f"{title}, deviation"] = f"{deviation:.{digits}f}"
            for n in (1, 3):
                chance = quantile * deviation * (2 / n) ** 0.5
                row[f"{title}, seeds: {n}"] = f"{chance:.{digits}f}"
        rows.append(row)
    return rows


def orders() -> list[Row]:
    """Return how many pairs of methods have the same order in every seed, and are significant."""
    rows = []
    for figure, test in _tests().items():
        pairs = list(itertools.combinations(test["by seed"], 2))
        same = 0
        for first, second in pairs:
            signs = {
                two > one
                for one, two in itertools.product(test["by seed"][first], test["by seed"][second])
            }
            same += len(signs) == 1
        held = sum(x["p_holm"] < trials.SIGNIFICANT for x in test["pairs"].values())
        rows.append(
            {
                "figure": figure,
                "pairs of methods": len(pairs),
                "every seed of one ahead of every seed of the other": same,
                "significant": held,
            }
        )
    return rows


def tables() -> dict[str, list[Row]]:
    """Return the tables of the page."""
    return {
        "seeds": methods(),
        "seeds, claims": claims(),
        "seeds, deviation": deviations(),
        "seeds, orders": orders(),
    }


def pictures() -> dict[str, str]:
    """Return the chart, by its path below docs/."""
    by_seed = _tests()[POOL]["by seed"]
    columns = [f"seed {i}" for i in range(max(map(len, by_seed.values())))]
    rows = [{"model": _name(m), **dict(zip(columns, by_seed[m], strict=True))} for m in _by_pool()]
    title = "Multilingual mAP on XQuAD-R of each method by seed"
    return {"images/results-seeds.svg": summaries.dots(rows, columns, title, "multilingual mAP")}
