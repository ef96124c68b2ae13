"""Tables and the chart of docs/performance.md, from the committed results of benchmarks/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.pictures import carded

ROOT = Path(__file__).parent.parent


def found(name: str) -> dict[str, Any]:
    """A benchmark's committed result."""
    return json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())


def claims() -> list[dict[str, Any]]:
    """What is compared, with whom, the ratio and what was aimed at."""
    t, e, m, k, s = (found(n) for n in ("training", "encoding", "matrix", "metrics", "schedule"))

    def once(value: float) -> dict[str, float]:
        return {"median": value, "least": value, "most": value}

    return [
        {
            "what": "training, bf16",
            "against": "sentence-transformers as it comes",
            "ratio": t["times as fast as it comes"],
            "aim": 8,
        },
        {
            "what": "training, bf16",
            "against": "its best setting found",
            "ratio": t["times as fast as its best"],
            "aim": 1.6,
        },
        {
            "what": "training, fp32",
            "against": "as it comes",
            "ratio": t["fp32, times as fast as it comes"],
            "aim": 4,
        },
        {
            "what": "training, fp32",
            "against": "the same, dropout off",
            "ratio": t["fp32, times as fast without its dropout"],
            "aim": None,
        },
        {
            "what": "encoding, bf16",
            "against": "as it comes",
            "ratio": e["times as fast as it comes"],
            "aim": 4,
        },
        {
            "what": "encoding, bf16",
            "against": "its best setting found",
            "ratio": e["times as fast as its best"],
            "aim": 1.25,
        },
        {
            "what": "audit of XQuAD-R",
            "against": "its evaluator, extrapolated",
            "ratio": once(m["theirs"]["times ours"]),
            "aim": 20,
        },
        {
            "what": "audit of XQuAD-R",
            "against": "its evaluator in bf16, extrapolated",
            "ratio": once(m["theirs in bf16"]["times ours"]),
            "aim": None,
        },
        {
            "what": "ranks and metrics",
            "against": "pytrec_eval",
            "ratio": k["times as fast"],
            "aim": 5,
        },
        {
            "what": "first batch of 10^7 pairs",
            "against": "NoDuplicatesBatchSampler",
            "ratio": once(s["times sooner at the first batch, building counted"]),
            "aim": 100,
        },
        {
            "what": "batch of step 100,000",
            "against": "the same",
            "ratio": once(s["times sooner at step 100,000, building counted"]),
            "aim": None,
        },
    ]


def compared() -> list[dict[str, str]]:
    """The claims as a table."""
    return [
        {
            "what": c["what"],
            "against": c["against"],
            "times as fast, median (least to most)": f"{c['ratio']['median']:,} "
            f"({c['ratio']['least']:,} to {c['ratio']['most']:,})",
            "aimed at": "" if c["aim"] is None else str(c["aim"]),
        }
        for c in claims()
    ]


def shares() -> list[dict[str, Any]]:
    """How near to the machine's matrix rate."""
    rows = []
    for what, name, goes in (
        ("training step", "training", ("first", "second")),
        ("encoding", "encoding", (None,)),
    ):
        row = found(name)
        rates = [r for go in goes for r in (row[go] if go else row)["matrix rate"]]
        for side, precision in (("ours", "bf16"), ("ours fp32", "fp32")):
            each = row[f"{side}: GFLOP/s of useful matrix products"]
            rows.append(
                {
                    "what": f"{what}, {precision}",
                    "GFLOP/s, useful tokens only": " ".join(map(str, each)),
                    "a plain product beside it": " ".join(str(round(r[precision])) for r in rates),
                    "share": row[f"{side}: share of the matrix rate"],
                }
            )
    return rows


def memory() -> list[dict[str, Any]]:
    """Peak memory of the sides."""
    t, e, b = found("training"), found("encoding"), found("large_batch")
    rows = [{"what": f"training, {k}", "peak GiB": v} for k, v in t["peak GiB"].items()]
    rows += [{"what": f"encoding, {k}", "peak GiB": v} for k, v in e["peak GiB"].items()]
    rows += [
        {"what": f"one step of {k} pairs, bf16 ({b['seconds a pair'][k]} s a pair)", "peak GiB": v}
        for k, v in b["peak GiB"].items()
    ]
    return rows


def parts() -> list[dict[str, str]]:
    """What a step takes with a part taken out."""
    return [
        {
            "taken out": k,
            "times as long, median (least to most)": f"{v['median']} ({v['least']} to {v['most']})",
        }
        for k, v in found("parts")["times as long without"].items()
    ]


def picture() -> str:
    """The claims as bars on a scale of doubling, with what was aimed at: a standalone SVG."""
    import math

    rows, left, width = claims(), 360, 900
    most = max(max(c["ratio"]["most"], c["aim"] or 0) for c in rows)

    def place(value: float) -> float:
        return left + (width - left - 70) * math.log2(max(value, 1)) / math.log2(
            most
        )  # slower than a peer: no bar

    height = 30 + 28 * len(rows)
    lines = []
    for tick in (1, 2, 5, 10, 20, 50, 100, 1000, 10000):
        if tick <= most:
            x = place(tick)
            lines.append(
                f'<line class="line" x1="{x:.0f}" x2="{x:.0f}" y1="6" y2="{height - 20}"/>'
            )
            lines.append(
                f'<text class="axis" x="{x:.0f}" y="{height - 5}" '
                f'text-anchor="middle">{tick:,}</text>'
            )
    for i, c in enumerate(rows):
        y = 10 + 28 * i
        end = place(c["ratio"]["median"])
        lines.append(
            f'<text class="axis" x="{left - 8}" y="{y + 14}" text-anchor="end">{c["what"]}: '
            f"{c['against']}</text>"
        )
        lines.append(
            f'<rect class="right" x="{left}" y="{y}" width="{max(end - left, 1):.0f}" height="18"/>'
        )
        if c["aim"] and end < place(c["aim"]) < end + 45:  # not under the mark of what was aimed at
            end = place(c["aim"])
        lines.append(
            f'<text class="axis" x="{end + 6:.0f}" y="{y + 14}">{c["ratio"]["median"]:,g}</text>'
        )
        if c["aim"]:
            x = place(c["aim"])
            lines.append(
                f'<line class="aim" x1="{x:.0f}" x2="{x:.0f}" y1="{y - 3}" '
                f'y2="{y + 21}"><title>aimed at {c["aim"]}</title></line>'
            )
    return carded(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="How many times as fast as its peers Mixling is, and what was aimed '
        f'at">{"".join(lines)}</svg>\n'
    )
