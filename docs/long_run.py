"""Make the tables and the chart of docs/results/long-run.md, from studies/long-run.json.

The tests are those of studies/low-resource-tests.json.
"""

from __future__ import annotations

import math
from typing import Any

from docs import low_resource, summaries, trials

PAGE = "docs/results/long-run.md"
LONG = "balanced recipe, longer"
SCENARIOS = ("monolingual", "cross-lingual", "multilingual")
SENTENCES = "located-sentences"
SHARE = 0.2  # of the base, as in the balanced recipe
SHARES = (SHARE, 0.4)
STEPS = (800, 1600, 3200)
LOSSES = (200, 400, 800, 1600, 2400, 3200)
NAMES = {
    "x-y": "x-y alone",
    "x-y and hybrid": "averaged with hybrid",
    "two seeds of the recipe": "both runs of two seeds averaged",
}
TITLES = {
    SENTENCES: "sentences",
    "mlqa-held-out": "paragraphs",
    "arcd-sentences": "Arabic sentences",
}
# a figure of the predictions, and its title
PREDICTED = {
    "score": "score",
    f"{SENTENCES}, monolingual": "sentences, monolingual",
    f"{SENTENCES}, multilingual": "sentences, multilingual",
    "mlqa-held-out, multilingual": "paragraphs, multilingual",
}
Row = dict[str, Any]


def _result() -> Row:
    return trials.study_result("long-run")


def _rows() -> dict[str, Row]:
    """Return the models in the order of the tables, by their name: what is measured of each."""
    known = _result()["rows"]
    found = {"zero-shot": known["zero-shot"], "balanced recipe": known["balanced recipe"]}
    for name, words in NAMES.items():
        for steps in STEPS:
            for share in SHARES:
                row = known.get(f"{name}, {steps} steps, base {share:g}")
                if row is not None:
                    found[f"{words}, {steps:,} steps, {share:g} of the base"] = row
    return found


def by_steps() -> list[Row]:
    """Return held-out sentences by steps, with the recipe's share of the base."""
    end = f", {SHARE:g} of the base"
    return [
        {"model": name.removesuffix(end), **row[SENTENCES]}
        for name, row in _rows().items()
        if name.endswith(end) or " of the base" not in name
    ]


def all_models() -> list[Row]:
    """Return every model on the development tasks, with its score and what falls."""
    rows = []
    for name, row in _rows().items():
        shown: Row = {"model": name, "score": f"{row['score']:.4f}"}
        for task in (SENTENCES, "mlqa-held-out"):
            title = TITLES[task]
            shown |= {f"{title}, {s}": f"{row[task][s]:.3f}" for s in SCENARIOS}
        shown[TITLES["arcd-sentences"]] = f"{row['arcd-sentences']['monolingual']:.3f}"
        shown["falls below zero-shot"] = ", ".join(TITLES[x] for x in row["falls"]) or "none"
        rows.append(shown)
    return rows


def predictions() -> list[Row]:
    """Return what was predicted of each longer run, and what it brought."""
    rows = []
    for label, predicted in _result()["predictions"].items():
        name, steps, share = label.rsplit(", ", 2)
        if not math.isclose(float(share.removeprefix("base ")), SHARE):
            continue
        outcome = _result()["rows"].get(label)
        row: Row = {"model": f"{NAMES[name]}, {int(steps.split()[0]):,} steps"}
        for key, title in PREDICTED.items():
            row[title] = f"{predicted[key]:.3f}"
            if outcome is not None:
                task, _, scenario = key.partition(", ")
                value = outcome[task][scenario] if scenario else outcome[key]
                row[title] = f"{value:.3f} ({predicted[key]:.3f})"
        rows.append(row)
    return rows


def losses() -> list[Row]:
    """Return the mean loss of the hundred steps before each number of steps."""
    found = _result()["losses"]
    return [{"steps": "loss", **{f"{n:,}": f"{found[str(n)]:.2f}" for n in LOSSES}}]


def tests() -> list[Row]:
    """Return the long run beside the balanced recipe on the tests in its training's languages."""
    return low_resource.table(low_resource.IN_DOMAIN, ("zero-shot", "balanced recipe", LONG))


def others() -> list[Row]:
    """Return the same models on all other tests."""
    columns = low_resource.COLUMNS[:6]
    return low_resource.table(columns, ("zero-shot", "balanced recipe", LONG))


def changes() -> list[Row]:
    """Return what the long run changes of the balanced recipe, test by test."""
    rows = []
    for title, task, figure in (*low_resource.IN_DOMAIN, *low_resource.COLUMNS[:6]):
        found = low_resource.contrast("balanced recipe", LONG, task, figure)
        if found is not None:
            digits = 0 if "distance" in title else 3
            rows.append(
                {"figure": title, "change": trials.change(found, digits), "p": f"{found['p']:.2g}"}
            )
    return rows


def tables() -> dict[str, list[Row]]:
    """Return the tables of the page."""
    return {
        "long run, steps": summaries.figures(by_steps()),
        "long run, predictions": predictions(),
        "long run, losses": losses(),
        "long run, all": all_models(),
        "long run, tests": tests(),
        "long run, others": others(),
        "long run, changes": changes(),
    }


def pictures() -> dict[str, str]:
    """Return the chart of the steps, by its path below docs/."""
    title = "mAP on held-out sentences by the number of steps"
    return {"images/results-long-run.svg": summaries.dots(by_steps(), SCENARIOS, title)}
