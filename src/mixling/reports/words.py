"""What results say, in words: the first lines of every report."""

from __future__ import annotations

import math

from mixling.evaluation.result import Result


def own_share(entry: dict) -> tuple[float, float]:
    """(share of the pool's top ten in the question's language, its fair share), means over question languages."""
    pool = entry["pool"]
    own = [s.get(x, 0.0) for x, s in pool["top10_share"].items()]
    fair = [s.get(x, 0.0) for x, s in pool["fair_share"].items()]
    return sum(own) / len(own), sum(fair) / len(fair)


def finding(results: list[Result], names: list[str], task: str) -> list[str]:
    """A few sentences about one task: the last run, and how it differs from the first."""
    entry = results[-1].summary["tasks"][task]
    name = names[-1]
    said = []
    parts = (
        [f"in its own language a question finds its answer with mAP {entry['monolingual']['mAP']:.3f}"]
        if "monolingual" in entry
        else []
    )
    if "cross-lingual" in entry:
        parts.append(f"across two languages with {entry['cross-lingual']['mAP']:.3f}")
    if "pool" in entry:
        n = len(entry["pool"]["by_language"])
        parts.append(f"in one pool of {n} languages with {entry['pool']['mAP']:.3f}")
    said.append(f"{name}: {'; '.join(parts)}.")
    if "pool" in entry:
        own, fair = own_share(entry)
        said.append(
            f"Of the first ten answers in the pool {own:.0%} are in the question's own language; "
            f"{fair:.0%} would be fair, for that is its share of the right answers."
        )
    if len(results) > 1:
        before = results[0].summary["tasks"][task]
        moved = [
            f"{label} {entry[s]['mAP'] - before[s]['mAP']:+.3f}"
            for s, label in (
                ("monolingual", "own language"),
                ("cross-lingual", "across languages"),
                ("pool", "pool"),
            )
            if s in entry and s in before
        ]
        text = f"Against {names[0]}: {', '.join(moved)} mAP"
        if "pool" in entry and not math.isnan(entry["pool"]["rank_distance"]):
            text += f"; rank distance {before['pool']['rank_distance']:.0f} → {entry['pool']['rank_distance']:.0f}"
            text += (
                f"; own-language share of the top ten {own_share(before)[0]:.0%} → {own_share(entry)[0]:.0%}"
            )
        said.append(text + ".")
    return said


def display_names(results: list[Result]) -> list[str]:
    """Short names of the runs, told apart where two have the same."""
    names = [r.summary.get("label") or str(r.summary["model"]).rstrip("/") for r in results]
    names = [n if len(n) < 60 else "…" + n[-58:] for n in names]
    return [n if names.count(n) == 1 else f"{n} ({i})" for i, n in enumerate(names, 1)]
