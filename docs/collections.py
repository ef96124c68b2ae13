"""Returns the tables of transforms fitted on a collection, from studies/collection-fit.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

ROOT = Path(__file__).parents[1]
COLUMNS = {
    "zero-shot": "zero-shot",
    "order": "order",
    "language": "language",
    "lsar": "lsar",
    "balanced": "balanced",
    "centering": "centering",
    "balanced+centering": "balanced + centering",
    "roles+hubs": "roles + hubs",
    "centering+hubs": "centering + hubs",
    "language+trained": "language + trained",
    "centering+trained": "centering + trained",
    "centering+trained+hubs": "centering + trained + hubs",
}
SHORT = {
    "zero-shot": "zero-shot",
    "balanced": "balanced",
    "language": "language",
    "centering": "centering",
    "language+trained": "language + trained",
    "centering+trained": "centering + trained",
    "centering+trained+hubs": "… + hubs",
}
AT_QUERY_TIME = ("order", "centering at query time", "centering+hubs at query time", "centering")


@cache
def entries() -> list[tuple[str, dict]]:
    """Return the entries of the study by collection and encoder."""
    content = json.loads((ROOT / "studies" / "collection-fit.json").read_text())
    found = []
    for key, entry in content.items():
        encoder, _, name = key.partition("--")
        if name:
            short = {"multilingual-e5-small": "e5-small", "use-multilingual-v3": "USE"}.get(
                encoder, "trained e5-small"
            )
            found.append((f"{name}, {short}", entry))
    return sorted(found, key=lambda x: (x[0].rpartition(", ")[2], x[0]))


def untrained() -> list[tuple[str, dict]]:
    """Return the entries of encoders as they are published."""
    return [(key, entry) for key, entry in entries() if "trained" not in key]


def tables() -> dict[str, list[dict]]:
    """Return the rows of each table by its name."""
    return {
        "fitted": fitted("multilingual", SHORT),
        "fitted-monolingual": fitted("monolingual", SHORT),
        "all": fitted("multilingual"),
        "all-monolingual": fitted("monolingual"),
        "fitted-trained": fitted("multilingual", SHORT, True),
        "fitted-trained-monolingual": fitted("monolingual", SHORT, True),
        "chosen": chosen(),
        "curves": curves(),
        "at-query-time": at_query_time(),
        "drift": drift(),
        "role-offsets": role_offsets(),
        "unbalanced": unbalanced(),
        "criteria": criteria(),
        "identified": identified(),
    }


def fitted(scenario: str, columns: dict[str, str] = COLUMNS, trained: bool = False) -> list[dict]:
    """Return mAP of transforms fitted on the collection itself, by collection and encoder."""
    rows = []
    for key, entry in entries():
        if ("trained" in key) != trained:
            continue
        scores, taken = entry["measured"], entry.get("choice", {}).get("steps") or "zero-shot"
        if scores["zero-shot"][scenario] is None:
            continue
        best = max((x for x in scores if x in COLUMNS), key=lambda x: scores[x][scenario])
        row = {"collection": key}
        for steps, name in columns.items():
            text = _map(scores[steps][scenario]) if steps in scores else ""
            text += "*" * (steps == best)
            row[name] = f"**{text}**" if steps == taken and "choice" in entry else text
        rows.append(row)
    used = [k for k in rows[0] if any(row[k] for row in rows)] if rows else []
    return [{k: row[k] for k in used} for row in rows]


def chosen() -> list[dict]:
    """Return what was chosen without judgments, what was expected of it, and what it brought."""
    rows = []
    for key, entry in untrained():
        if "choice" not in entry:
            continue
        scores, choice = entry["measured"], entry["choice"]
        gain = _gains(scores, "multilingual")
        best = max((x for x in gain if x in COLUMNS and x != "order"), key=gain.__getitem__)
        steps = choice["steps"]
        taken = steps or "zero-shot"
        expected = choice["trials"][steps]["gain"][0] if steps else None
        rows.append(
            {
                "collection": key,
                "chosen": steps or "nothing",
                "expected (MRR)": "" if expected is None else f"{expected:+.3f}",
                "brought (mAP)": change(entry, "multilingual", steps) if steps else "",
                "monolingual": change(entry, "monolingual", steps) if steps else "",
                "best": best if best != "zero-shot" else "nothing",
                "regret": f"{gain[best] - gain[taken]:.3f}",
                "regret of balanced": f"{gain[best] - gain['balanced']:.3f}"
                if "balanced" in gain
                else "",
            }
        )
    return rows


def curves() -> list[dict]:
    """Return mAP of centering by the number of queries and of passages it was fitted on."""
    sizes = [1, 3, 5, 10, 20, 30, 50, 100, 300, 500, 1000, 2000]
    rows = []
    for key, entry in untrained():
        for what, found in entry.get("curves", {}).items():
            row = {"collection": key, "fitted on": what}
            for size in sizes:
                row[str(size)] = ", ".join(
                    f"{_map(x['multilingual'])} / {_map(x['monolingual'])}"
                    for x in found.get(str(size), [])
                )
            rows.append(row)
    used = [x for x in map(str, sizes) if any(row[x] for row in rows)]
    return [{k: v for k, v in row.items() if not k.isdigit() or k in used} for row in rows]


def drift() -> list[dict]:
    """Return how much variance language explains, and mAP, by the passages that were fitted on."""
    rows = []
    for key, entry in untrained():
        curve = entry.get("curves", {}).get("passages a language", {})
        share = (
            -entry.get("criteria", {}).get("zero-shot", {}).get("little variance by language", 0)
        )
        row = {"collection": key, "": "share", "no transform": f"{share:.3f}"}
        other = {"collection": "", "": "mAP"}
        other["no transform"] = _map(entry["measured"]["zero-shot"]["multilingual"])
        for size, drawn in curve.items():
            if "variance by language" in drawn[0]:
                name = f"fitted on {size}"
                row[name] = ", ".join(f"{x['variance by language']:.3f}" for x in drawn)
                other[name] = ", ".join(_map(x["multilingual"]) for x in drawn)
        if len(row) > 3 and key.startswith("help-test"):
            rows += [row, other]
    return rows


def at_query_time() -> list[dict]:
    """Return mAP of corrections at query time beside those of vectors."""
    return [
        {
            "collection": key,
            "zero-shot": _both(entry["measured"]["zero-shot"]),
            **{x: _both(entry["measured"].get(x)) for x in AT_QUERY_TIME},
        }
        for key, entry in untrained()
        if "centering at query time" in entry["measured"]
    ]


def unbalanced() -> list[dict]:
    """Return the changes of mAP in pools that are unbalanced."""
    rows = []
    for key, entry in untrained():
        for name, pool in entry.get("unbalanced", {}).items():
            for steps in ("language", "lsar", "balanced", "centering", "centering+hubs"):
                if steps in pool["measured"]:
                    rows.append(
                        {
                            "pool": f"{name} ({key})",
                            "transform": steps,
                            "multilingual": _map(pool["measured"][steps]["multilingual"]),
                            "change": change(pool, "multilingual", steps),
                            "monolingual": _map(pool["measured"][steps]["monolingual"]),
                            "change of it": change(pool, "monolingual", steps),
                        }
                    )
    return rows


def criteria() -> list[dict]:
    """Return how well numbers without judgments rank the transforms of a collection."""
    found: dict[str, dict[str, list[float]]] = {}
    for _, entry in untrained():
        if "choice" not in entry:
            continue
        trials, scores = entry["choice"]["trials"], entry["measured"]
        steps = [x for x in trials if x in scores and x in entry["criteria"]]
        values = {
            "known items in the pool": [trials[x]["gain"][0] for x in steps],
            "known items within a language": [trials[x]["one language"][0] for x in steps],
            **{
                name: [entry["criteria"][x][name] for x in steps]
                for name in entry["criteria"][steps[0]]
            },
        }
        for scenario in ("multilingual", "monolingual"):
            gain = [_gains(scores, scenario)[x] for x in steps]
            for name, column in values.items():
                if min(np.ptp(column), np.ptp(gain)) > 1e-9:
                    rank = float(spearmanr(column, gain)[0])
                    found.setdefault(name, {}).setdefault(scenario, []).append(rank)
    return [
        {
            "criterion": name,
            **{
                f"{scenario} gain": f"{np.mean(x):+.2f} ({min(x):+.2f} to {max(x):+.2f})"
                for scenario, x in by_scenario.items()
            },
            "collections": len(next(iter(by_scenario.values()))),
        }
        for name, by_scenario in found.items()
    ]


def identified() -> list[dict]:
    """Return mAP of centering by the true and by the identified language of queries."""
    rows = []
    for key, entry in untrained():
        found = entry.get("languages of queries")
        if found and "centering" in entry["measured"]:
            rows.append(
                {
                    "collection": key,
                    "identified rightly": f"{found['right']:.3f}",
                    "short queries": f"{found['short']:.0%}",
                    **{
                        name: _both(found[name])
                        for name in ("true", "identified", "by probability", "mean of all queries")
                    },
                }
            )
    return rows


def role_offsets() -> list[dict]:
    """Return mAP of centering with the shift between roles of other collections."""
    content = json.loads((ROOT / "studies" / "role-offsets.json").read_text())["collections"]
    rows = []
    for name, entry in content.items():
        row = {"collection": name, **{x: _both(entry[x]) for x in ("zero-shot", "language")}}
        row["own queries"] = _both(entry["own queries"])
        others = {k.removeprefix("shift of "): v for k, v in entry.items() if "shift" in k}
        rows.append(row | {f"shift of {x}": _both(others.get(x)) for x in content})
    return rows


def _gains(scores: dict, scenario: str) -> dict[str, float]:
    zero = scores["zero-shot"][scenario] or 0
    return {k: (v[scenario] or 0) - zero for k, v in scores.items()}


def change(entry: dict, scenario: str, steps: str) -> str:
    low, high = entry["interval"][scenario][steps]
    return f"{_gains(entry['measured'], scenario)[steps]:+.3f} ({low:+.3f} to {high:+.3f})"


def _both(found: dict | None) -> str:
    if found is None:
        return ""
    return f"{_map(found['multilingual'])} / {_map(found['monolingual'])}"


def _map(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".removeprefix("0")
