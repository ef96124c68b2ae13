"""Draw the tables and the chart of docs/development/performance.md from benchmarks/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.pictures import carded

ROOT = Path(__file__).parent.parent
# the sides of the benchmarks of training and encoding
_SIDES = {
    "ours": "Mixling, bf16",
    "ours fp32": "Mixling, fp32",
    "theirs": "sentence-transformers, default settings",
    "theirs at best": "sentence-transformers, best settings found",
    "theirs fp32 without dropout": "sentence-transformers, fp32 without dropout",
}
# what a side of benchmarks/parts.py takes out, by what it does instead
_PARTS = {
    "padded": "packing",
    "dense word table": "gradients by rows",
    "memory given back": "kept memory",
    "fused attention": "batched attention",
}


def benchmark_result(name: str) -> dict[str, Any]:
    """Return a benchmark's committed result."""
    return json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())


def claims() -> list[dict[str, Any]]:
    """Return each comparison with its peer, its ratio and its aim."""
    training, encoding, matrix, metrics, schedule = (
        benchmark_result(n) for n in ("training", "encoding", "matrix", "metrics", "schedule")
    )

    def once(value: float) -> dict[str, float]:
        return {"median": value, "least": value, "most": value}

    return [
        {
            "what": "training, bf16",
            "against": "sentence-transformers, default settings",
            "ratio": training["times as fast as it comes"],
            "aim": 8,
        },
        {
            "what": "training, bf16",
            "against": "its best settings found",
            "ratio": training["times as fast as its best"],
            "aim": 1.6,
        },
        {
            "what": "training, fp32",
            "against": "default settings",
            "ratio": training["fp32, times as fast as it comes"],
            "aim": 4,
        },
        {
            "what": "training, fp32",
            "against": "the same, dropout off",
            "ratio": training["fp32, times as fast without its dropout"],
            "aim": None,
        },
        {
            "what": "encoding, bf16",
            "against": "default settings",
            "ratio": encoding["times as fast as it comes"],
            "aim": 4,
        },
        {
            "what": "encoding, bf16",
            "against": "its best settings found",
            "ratio": encoding["times as fast as its best"],
            "aim": 1.25,
        },
        {
            "what": "audit of XQuAD-R",
            "against": "its evaluator, extrapolated",
            "ratio": once(matrix["theirs"]["times ours"]),
            "aim": 20,
        },
        {
            "what": "audit of XQuAD-R",
            "against": "its evaluator in bf16, extrapolated",
            "ratio": once(matrix["theirs in bf16"]["times ours"]),
            "aim": None,
        },
        {
            "what": "ranks and metrics",
            "against": "pytrec_eval",
            "ratio": metrics["times as fast"],
            "aim": 5,
        },
        {
            "what": "first batch of 10^7 pairs",
            "against": "NoDuplicatesBatchSampler",
            "ratio": once(schedule["times sooner at the first batch, building counted"]),
            "aim": 100,
        },
        {
            "what": "batch of step 100,000",
            "against": "the same",
            "ratio": once(schedule["times sooner at step 100,000, building counted"]),
            "aim": None,
        },
    ]


def compared() -> list[dict[str, str]]:
    """Return the claims as a table."""
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
    """Return shares of the machine's matrix rate."""
    rows = []
    for task, name, parts in (
        ("training step", "training", ("first", "second")),
        ("encoding", "encoding", (None,)),
    ):
        row = benchmark_result(name)
        rates = [r for part in parts for r in (row[part] if part else row)["matrix rate"]]
        for side, precision in (("ours", "bf16"), ("ours fp32", "fp32")):
            products = row[f"{side}: GFLOP/s of useful matrix products"]
            rows.append(
                {
                    "what": f"{task}, {precision}",
                    "GFLOP/s, useful tokens only": " ".join(map(str, products)),
                    "a plain product beside it": " ".join(str(round(r[precision])) for r in rates),
                    "share": row[f"{side}: share of the matrix rate"],
                }
            )
    return rows


def memory() -> list[dict[str, Any]]:
    """Return peak memory of the sides."""
    large_batch = benchmark_result("large_batch")
    rows = [
        {"what": f"{task}, {_SIDES[side]}", "peak GiB": value}
        for task in ("training", "encoding")
        for side, value in benchmark_result(task)["peak GiB"].items()
    ]
    for name, value in large_batch["peak GiB"].items():
        pairs, _, tokens = name.partition(", ")  # such as "1,024, 4,096 tokens at once"
        cached = f", {tokens.removesuffix(' at once')} cached" if tokens else ""
        seconds = large_batch["seconds a pair"][name]
        what = f"one step of {pairs} pairs, bf16{cached} ({seconds} s a pair)"
        rows.append({"what": what, "peak GiB": value})
    return rows


def parts() -> list[dict[str, str]]:
    """Return how much longer a step takes with a part taken out."""
    return [
        {
            "part taken out": _PARTS[k],
            "times as long, median (least to most)": f"{v['median']} ({v['least']} to {v['most']})",
        }
        for k, v in benchmark_result("parts")["times as long without"].items()
    ]


def allocators() -> list[dict[str, str]]:
    """Return how much longer a step takes with glibc's allocator than with tcmalloc."""
    v = benchmark_result("allocators")["times as long with glibc"]
    title = "times as long with glibc's allocator, median (least to most)"
    return [{"threads": "1", title: f"{v['median']} ({v['least']} to {v['most']})"}]


def training_calls() -> list[dict[str, Any]]:
    """Return the speed of gradients by tokens in a call, with the page's name of the table."""
    return [
        {"embedding table" if k == "word table" else k: v for k, v in row.items()}
        for row in benchmark_result("calls")["training"]
    ]


def picture() -> str:
    """Draw the claims as bars on a logarithmic scale, with their aims, as a standalone SVG."""
    import math

    rows, left, width = claims(), 360, 900
    maximum = max(max(claim["ratio"]["most"], claim["aim"] or 0) for claim in rows)

    def position(value: float) -> float:
        return left + (width - left - 70) * math.log2(max(value, 1)) / math.log2(
            maximum
        )  # slower than a peer: no bar

    height = 30 + 28 * len(rows)
    lines = []
    for tick in (1, 2, 5, 10, 20, 50, 100, 1000, 10000):
        if tick <= maximum:
            x = position(tick)
            lines.append(
                f'<line class="line" x1="{x:.0f}" x2="{x:.0f}" y1="6" y2="{height - 20}"/>'
            )
            lines.append(
                f'<text class="axis" x="{x:.0f}" y="{height - 5}" '
                f'text-anchor="middle">{tick:,}</text>'
            )
    for i, claim in enumerate(rows):
        y = 10 + 28 * i
        end = position(claim["ratio"]["median"])
        lines.append(
            f'<text class="axis" x="{left - 8}" y="{y + 14}" text-anchor="end">{claim["what"]}: '
            f"{claim['against']}</text>"
        )
        lines.append(
            f'<rect class="right" x="{left}" y="{y}" width="{max(end - left, 1):.0f}" height="18"/>'
        )
        if (
            claim["aim"] and end < position(claim["aim"]) < end + 45
        ):  # not under the mark of what was aimed at
            end = position(claim["aim"])
        lines.append(
            f'<text class="axis" x="{end + 6:.0f}" y="{y + 14}">'
            f"{claim['ratio']['median']:,g}</text>"
        )
        if claim["aim"]:
            x = position(claim["aim"])
            lines.append(
                f'<line class="aim" x1="{x:.0f}" x2="{x:.0f}" y1="{y - 3}" '
                f'y2="{y + 21}"><title>aimed at {claim["aim"]}</title></line>'
            )
    return carded(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="How many times as fast as its peers Mixling is, and what was aimed '
        f'at">{"".join(lines)}</svg>\n'
    )


def contention() -> list[dict]:
    """Return milliseconds beside busy processes, a row for each kind of work and setting."""
    rows = json.loads((ROOT / "benchmarks" / "contention.json").read_text())["rows"]
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    conditions = list(dict.fromkeys(row["beside"] for row in rows))
    found = {(row["setting"], row["beside"]): row for row in rows}
    return [
        {
            "work": work,
            "threads": setting,
            **{
                x: f"{found[setting, x][work]:,.0f} ms"
                for x in conditions
                if work in found[setting, x]
            },
        }
        for work in ("query", "32 passages", "training step")
        for setting in settings
        if work in found[setting, conditions[0]]
    ]


def served() -> list[dict]:
    """Return a row for each server and number of clients."""
    rows = json.loads((ROOT / "benchmarks" / "serve_peers.json").read_text())["rows"]
    columns = ("server", "clients", "answers a second", "p50 ms", "p99 ms")
    return [{name: row[name] for name in columns} for row in rows]


def start() -> list[dict]:
    """Return seconds of commands from their start, a row for each, before and now."""
    rows = json.loads((ROOT / "benchmarks" / "start.json").read_text())["rows"]
    names = {"before": "before: s", "ours": "now: s", "": "now: s"}
    found: dict[str, dict] = {}
    for row in rows:
        found.setdefault(row["what"], {"what": row["what"], "before: s": ""})
        found[row["what"]][names[row["side"]]] = row["seconds"]
    return list(found.values())
