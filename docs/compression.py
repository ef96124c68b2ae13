"""Make docs/results/compression.md: its answer, findings, tables and chart.

All of it is read from studies/compression.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docs import summaries, trials

PAGE = "docs/results/compression.md"
Row = dict[str, Any]

E5, TASK, NONE = "intfloat/multilingual-e5-small", "xquad-r", "zero-shot"
FIRST, SECOND = "transform, compress", "compress, transform"
KEPT = "kept, less monolingual"
CHART = (
    "float32", "float16", "int8", "PCA to half", "half of the dimensions", "PCA to a quarter",
    "quarter of the dimensions", "PQ, 4 dimensions a byte", "PQ, 8 dimensions a byte", "binary",
    "binary at the mean", "binary, 40 rescored by int8", "binary, 400 rescored by int8",
)  # fmt: skip
TRANSFORMS = {
    NONE: NONE,
    "centering": "centering",
    "LSAR": "LSAR",
    "trained": "the shipped transform",
}


def _rows(
    transform: str = NONE, order: str = FIRST, encoder: str = E5, task: str = TASK
) -> dict[str, Row]:
    """Return the rows of an encoder, a task, a transform and an order, by compression."""
    key = {"encoder": encoder, "task": task, "transform": transform, "order": order}
    return {
        r["compression"]: r
        for r in trials.study_result("compression")["rows"]
        if all(r[name] == value for name, value in key.items())
    }


def _sets() -> Iterator[tuple[str, str]]:
    """Yield each encoder and task."""
    yield from dict.fromkeys(
        (r["encoder"], r["task"]) for r in trials.study_result("compression")["rows"]
    )


def _shown(rows: dict[str, Row]) -> list[Row]:
    """Return the rows of the chart and the short tables."""
    return [rows[name] for name in CHART if name in rows]


def _is_lower(test: Row) -> bool:
    return test["p_holm"] < trials.SIGNIFICANT and test["difference"] < 0


def _is_higher(test: Row) -> bool:
    return test["p_holm"] < trials.SIGNIFICANT and test["difference"] > 0


def _change(test: Row, scale: float, digits: int) -> str:
    """Return a difference with its interval, in parentheses if it may be chance."""
    numbers = {k: scale * test[k] for k in ("difference", "low", "high")}
    return trials.change({**numbers, "p": test["p_holm"]}, digits)


def short() -> list[Row]:
    """Return the figures of every compression without a transform."""
    return [
        {
            "compression": name,
            "bytes": " + ".join(f"{x:,}" for x in row["bytes"]),
            **{s: f"{row[s]:.3f}" for s in trials.SCENARIOS},
            summaries.DISTANCE: f"{row[summaries.DISTANCE]:.0f}",
        }
        for name, row in _rows().items()
    ]


def kept() -> list[Row]:
    """Return the share of each mAP that a compression keeps, and the differences in points."""
    return [
        {
            "compression": name,
            **{s: f"{row['kept'][s]:.1%}" for s in trials.SCENARIOS},
            **{f"{s}, less monolingual": _change(x, 100, 1) for s, x in row[KEPT].items()},
        }
        for name, row in _rows().items()
        if "kept" in row
    ]


def transforms() -> list[Row]:
    """Return multilingual mAP of compressed vectors behind each transform."""
    by_transform = {title: _rows(name) for name, title in TRANSFORMS.items()}
    return [
        {
            "compression": name,
            **{title: f"{rows[name]['multilingual']:.3f}" for title, rows in by_transform.items()},
        }
        for name in CHART
        if all(name in rows for rows in by_transform.values())
    ]


def orders() -> list[Row]:
    """Return multilingual mAP of vectors that are compressed first, and the change by that."""
    rows: dict[str, Row] = {}
    for transform, title in list(TRANSFORMS.items())[1:]:
        for name, row in _rows(transform, SECOND).items():
            change = _change(row["change by order"]["multilingual"], 1, 3)
            empty = dict.fromkeys(list(TRANSFORMS.values())[1:], "")
            entry = rows.setdefault(name, {"compression": name, **empty})
            entry[title] = f"{row['multilingual']:.3f}: {change}"
    return list(rows.values())


def checks() -> list[Row]:
    """Return how much less of cross-lingual than of monolingual mAP is kept, in points."""
    rows: dict[str, Row] = {}
    for encoder, task in _sets():
        column = f"{encoder.rpartition('/')[2]}, `{task.partition('@')[0]}`"
        for row in _shown(_rows(encoder=encoder, task=task)):
            if "kept" in row:
                entry = rows.setdefault(row["compression"], {"compression": row["compression"]})
                entry[column] = _change(row[KEPT]["cross-lingual"], 100, 1)
    return list(rows.values())


def answer() -> str:
    """Return the page's first paragraph."""
    rows = {k: r for k, r in _rows().items() if "change" in r}
    losing = [
        r
        for r in rows.values()
        if any(_is_lower(r["change"][s]) for s in ("monolingual", "cross-lingual"))
    ]
    more = [r for r in losing if _is_lower(r[KEPT]["cross-lingual"])]
    cost = "cost cross-lingual search a larger share than monolingual search"
    if losing and len(more) == len(losing):
        verdict = f"Yes: all {len(losing)} compressions that lose quality {cost}."
    elif more:
        verdict = f"Mostly: {len(more)} of {len(losing)} compressions that lose quality {cost}."
    else:
        verdict = "No: no compression can be shown to cost other languages a larger share."
    share = rows["binary"]["kept"]
    example = (
        f"Binary vectors keep {share['monolingual']:.0%} of monolingual and "
        f"{share['cross-lingual']:.0%} of cross-lingual mAP."
    )
    free = _free(rows)
    loses = "lose" if len(free) > 1 else "loses"
    ending = f" {_list(free)} {loses} nothing that a test can show." if free else ""
    return f"**{verdict}** {example}{ending}"


def _free(rows: dict[str, Row]) -> list[str]:
    """Return the plain number formats that lose nothing in any figure."""
    return [
        name
        for name in ("float16", "int8")
        if not any(_is_lower(rows[name]["change"][s]) for s in trials.SCENARIOS)
    ]


def _list(names: list[str]) -> str:
    """Return names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def findings() -> str:
    """Return what the tables show, as a list."""
    rows, lines = _rows(), []
    few, many = (rows[f"binary, {n} rescored by int8"] for n in (40, 400))
    worse = _is_lower(few[KEPT]["multilingual"])
    lines.append(
        "**The pool needs more candidates than one language.** "
        if worse
        else "**Forty candidates are enough for the pool too.** "
    )
    lines[-1] += (
        f"Binary search that rescores 40 passages keeps {few['kept']['monolingual']:.1%} of "
        f"monolingual and {few['kept']['multilingual']:.1%} of multilingual mAP. With 400 passages "
        f"it keeps {many['kept']['multilingual']:.1%} of the latter."
    )
    zero, mean = (rows[x]["kept"]["cross-lingual"] for x in ("binary", "binary at the mean"))
    lines.append(
        "**Subtract the mean before taking signs.** "
        if mean > zero
        else "**Subtracting the mean before taking signs does not help.** "
    )
    lines[-1] += (
        f"Signs around the mean of all languages keep {mean:.0%} of cross-lingual mAP, and signs "
        f"around zero {zero:.0%}, in as many bytes."
    )
    plain, principal = (
        rows[x]["kept"]["cross-lingual"] for x in ("quarter of the dimensions", "PCA to a quarter")
    )
    lines.append(
        "**Principal directions keep more than the first dimensions.** "
        if principal > plain
        else "**The first dimensions keep as much as principal directions.** "
    )
    lines[-1] += (
        f"In a quarter of the numbers PCA keeps {principal:.0%} of cross-lingual mAP, and plain "
        f"truncation {plain:.0%}."
    )
    plain, principal = (
        rows[x]["kept"]["multilingual"] for x in ("quarter of the dimensions", "PCA to a quarter")
    )
    lines[-1] += (
        " In the pool it is the other way round: what PCA keeps tells languages apart."
        if principal < plain
        else " That holds in the pool too."
    )
    before, after = (_rows(x)["binary"]["multilingual"] for x in (NONE, "trained"))
    lines.append(
        f"**A transform {'repairs' if after > before else 'does not repair'} binary vectors too.** "
        f"Their multilingual mAP is {before:.3f} zero-shot and {after:.3f} behind the shipped "
        "transform."
    )
    second = [
        row["change by order"]["multilingual"]
        for name in list(TRANSFORMS)[1:]
        for row in _rows(name, SECOND).values()
    ]
    lower, higher = (sum(map(test, second)) for test in (_is_lower, _is_higher))
    lines.append(
        f"**The order of transform and compression.** Of {len(second)} pairs, the multilingual mAP "
        f"of {lower or 'none'} is lower when the vectors are compressed first, and that of "
        f"{higher or 'none'} is higher."
    )
    signs = [_rows(encoder=e, task=t)["binary"][KEPT]["cross-lingual"] for e, t in _sets()]
    lines.append(
        f"**Other encoder, other set.** Binary vectors cost cross-lingual search a larger share in "
        f"{sum(map(_is_lower, signs))} of {len(signs)} pairs of an encoder and a set."
    )
    return "\n".join(f"- {line}" for line in lines)


def tables() -> dict[str, list[Row]]:
    """Return the tables of the page."""
    return {
        "compression": short(),
        "compression, kept": kept(),
        "compression, transforms": transforms(),
        "compression, orders": orders(),
        "compression, checks": checks(),
    }


def texts() -> dict[str, str]:
    """Return the generated sentences of the page."""
    return {"compression answer": answer(), "compression findings": findings()}


def pictures() -> dict[str, str]:
    """Return the chart, by its path below docs/."""
    rows = [{**row, "model": row["compression"]} for row in _shown(_rows())]
    title = "Compressions: monolingual, cross-lingual and multilingual mAP on XQuAD-R"
    return {"images/results-compression.svg": summaries.dots(rows, trials.SCENARIOS, title)}
