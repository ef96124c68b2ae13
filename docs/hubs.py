"""Make the tables and the chart of docs/results/hubs.md from studies/hubs.json."""

from __future__ import annotations

from typing import Any

from docs import summaries, trials
from docs.encoders import SHORT

PAGE = "docs/results/hubs.md"
Row = dict[str, Any]
ORDERS = ("cosine", "CSLS")
TRANSFORMS = {
    "zero-shot": "zero-shot",
    "LSAR": "LSAR",
    "shipped": "the shipped transform",
    "centering": "centering",
}
MEASURES = {
    "hub_skew@10": "skew",
    "hub_share@10": "share of hubs",
    "unanswering_share@10": "found by nobody",
    "reciprocity@10": "reciprocity",
}


def _rows() -> list[Row]:
    """Return the measured rows, with short names."""
    return [
        {
            **row,
            "encoder": SHORT[row["encoder"]],
            "task": row["task"].partition("@")[0],
            "transform": TRANSFORMS[row["transform"]],
        }
        for row in trials.study_result("hubs")["rows"].values()
    ]


def hubs(task: str) -> list[Row]:
    """Return how strong hubs are by cosine and by CSLS, and the figures of chance.

    Args:
        task: The task.
    """
    found = []
    for row in _rows():
        if row["task"] != task:
            continue
        for order in ORDERS:
            measured = row[order]["hubs"]
            found.append(
                {
                    "encoder": row["encoder"],
                    "transform": row["transform"],
                    "scores": order,
                    **{
                        title: f"{measured[name][0]:.{1 if 'skew' in name else 3}f}"
                        for name, title in MEASURES.items()
                    },
                }
            )
        chance = row["cosine"]["hubs"]["at_random"]
    numbers = {
        title: f"{chance[name]:.{1 if 'skew' in name else 3}f}" if name in chance else ""
        for name, title in MEASURES.items()
    }
    return [*found, {"encoder": "by chance", "transform": "", "scores": "", **numbers}]


def quality() -> list[Row]:
    """Return mAP by cosine, and the change by CSLS with its interval."""
    found = []
    for row in _rows():
        entry = {k: row[k] for k in ("task", "encoder", "transform")}
        for scenario in trials.SCENARIOS:
            if scenario in row["change by CSLS"]:
                value = row["cosine"]["mAP"][scenario][0]
                entry[scenario] = f"{value:.3f}: {_change(row['change by CSLS'][scenario])}"
            else:
                entry[scenario] = ""
        found.append(entry)
    return found


def _change(numbers: list[float]) -> str:
    """Return a change with its interval, in parentheses where that holds zero."""
    value, low, high = numbers
    text = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
    return text if low > 0 or high < 0 else f"({text})"


def traps() -> list[Row]:
    """Return multilingual mAP where the references of CSLS give answers away."""
    found = []
    for key, row in trials.study_result("hubs")["traps"].items():
        encoder, task = key.split(", ")[:2]
        honest = trials.study_result("hubs")["rows"][f"{key}, zero-shot"]
        ways = {
            "honest references": honest["change by CSLS"]["multilingual"][0],
            "the measured queries": row["references are the measured queries"]["multilingual"]
            - honest["cosine"]["mAP"]["multilingual"][0],
            "known answers in the pool": row["answers of the references in the pool"][
                "multilingual"
            ]
            - row["answers of the references in the pool, cosine"]["multilingual"],
        }
        entry = {"encoder": SHORT[encoder], "task": task.partition("@")[0]}
        found.append({**entry, **{k: f"{v:+.3f}" for k, v in ways.items()}})
    return found


def pairs() -> list[Row]:
    """Return reciprocity of pairs of languages, and what closes the gap between them."""
    found = []
    for row in _rows():
        gap = row["gap"]
        if "cross-lingual" not in row["cosine"]["mAP"]:
            continue
        found.append(
            {
                "task": row["task"],
                "encoder": row["encoder"],
                "transform": row["transform"],
                "worst pair": gap["worst pair"],
                "gap": f"{gap['gap']:.3f}",
                "gap by CSLS": f"{gap['gap, CSLS']:.3f}",
                "worst pair's part": f"{gap['closed, CSLS']:.0%}",
                "without the hubs": f"{gap['closed, hubs out']:.0%}",
            }
        )
    return found


def explained() -> list[Row]:
    """Return how much of the differences between pairs each property explains."""
    found = []
    for name, row in trials.study_result("hubs")["regressions"].items():
        target, _, where = name.rpartition(", ")
        if where != "zero-shot":
            continue
        found.append(
            {
                "of each pair": target,
                "explained": f"{row['R2']:.0%}",
                **{
                    title: f"{row[title]['dominance']:.0%} ({row[title]['correlation']:+.2f})"
                    for title in ("hub share", "anisotropy", "drift")
                },
            }
        )
    return found


def tables() -> dict[str, list[Row]]:
    """Return the tables of the page."""
    return {
        "hubs": hubs("xquad-r"),
        "hubs, quality": quality(),
        "hubs, traps": traps(),
        "hubs, pairs": pairs(),
        "hubs, explained": explained(),
    }


def pictures() -> dict[str, str]:
    """Return the chart, by its path below docs/."""
    rows = [
        {
            "model": f"{row['encoder']}, {row['transform']}",
            "cosine": row["cosine"]["mAP"]["multilingual"][0],
            "CSLS": row["CSLS"]["mAP"]["multilingual"][0],
        }
        for row in _rows()
        if row["task"] == "xquad-r"
    ]
    title = "Multilingual mAP on XQuAD-R by cosine and by CSLS"
    return {"images/results-hubs.svg": summaries.dots(rows, ORDERS, title)}
