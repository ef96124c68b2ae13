"""Make the tables and the chart of docs/results/help-desk.md from committed results."""

from __future__ import annotations

from typing import Any

from docs import summaries, trials

PAGE = "docs/results/help-desk.md"
Row = dict[str, Any]
ENCODERS = {"multilingual-e5-small": "e5-small", "use-multilingual-v3": "USE"}
STEPS = {
    "zero-shot": "zero-shot",
    "order": "the order `centered`",
    "lsar": "LSAR",
    "balanced": "the shipped transform",
    "centering": "centering",
    "language+trained": "language + trained",
    "centering+trained": "centering + trained",
    "centering+trained+hubs": "centering + trained + hubs",
}
SAME = "same language in the first ten"


def _entries() -> dict[str, Row]:
    fitted = trials.study_result("collection-fit")
    return {short: fitted[f"{name}--help-test"] for name, short in ENCODERS.items()}


def measured() -> list[Row]:
    """Return the figures of each transform, and the change of the multilingual pool."""
    rows = []
    for encoder, entry in _entries().items():
        for step, title in STEPS.items():
            if step not in entry["measured"]:
                continue
            found = entry["measured"][step]
            row = {"encoder": encoder, "": title}
            row |= {scenario: f"{found[scenario]:.3f}" for scenario in trials.SCENARIOS}
            row["multilingual, change"] = ""
            if step != "zero-shot":
                change = found["multilingual"] - entry["measured"]["zero-shot"]["multilingual"]
                low, high = entry["interval"]["multilingual"][step]
                row["multilingual, change"] = f"{change:+.3f} ({low:+.3f} to {high:+.3f})"
            row[SAME] = f"{found[SAME]:.0%}"
            rows.append(row)
    return rows


def audited() -> list[Row]:
    """Return what an audit said without judgments, with a log and without."""
    rows = []
    for found in trials.study_result("audit")["rows"]:
        if found["collection"] == "help-test":
            verdict = found["verdict"]
            row = {
                "encoder": ENCODERS[found["model"].rpartition("/")[2]],
                "queries of users": found["log"],
                "loss in the pool": f"{found['measures']['loss']:.3f}",
                "advice": verdict["candidate"].replace("+", " + "),
                "expected gain": f"{verdict['gain']:+.3f} "
                f"({verdict['gain_low']:+.3f} to {verdict['gain_high']:+.3f})",
            }
            rows.append(row)
    return rows


def languages() -> list[Row]:
    """Return the number of pages by language, and of those that stand alone."""
    found = next(x for x in trials.study_result("audit")["rows"] if x["collection"] == "help-test")
    return [dict(found["languages"])]


def tables() -> dict[str, list[Row]]:
    """Return the tables of the page."""
    return {
        "help desk": measured(),
        "help desk, audit": audited(),
        "help desk, languages": languages(),
    }


def pictures() -> dict[str, str]:
    """Return the chart, by its path below docs/."""
    rows = [
        {"model": f"{encoder}, {title.replace('`', '')}", **entry["measured"][step]}
        for encoder, entry in _entries().items()
        for step, title in STEPS.items()
        if step in entry["measured"]
    ]
    title = "LibreOffice's help: monolingual, cross-lingual and multilingual mAP"
    return {"images/results-help-desk.svg": summaries.dots(rows, trials.SCENARIOS, title)}
