"""Return the tables and the chart of the second encoder, from its two studies' results."""

from __future__ import annotations

from typing import Any

from docs import collections, summaries, trials
from mixling.evaluation.significance import significance_mark

PAGE = "docs/results/second-encoder.md"
FIRST, SECOND = "intfloat/multilingual-e5-small", "use-multilingual-v3"
SHORT = {FIRST: "e5-small", SECOND: "USE"}
# in the order of a table
TRANSFORMS = {
    "zero-shot": "zero-shot",
    "leace": "LEACE",
    "shift": "SHIFT, alpha 0.6",
    "lir": "LIR",
    "centering": "centering",
    "lsar": "LSAR",
    "trained": "trained transform",
}
TASKS = {
    "xquad-r": "XQuAD-R",
    "xquad-paragraphs": "XQuAD, paragraphs",
    "mlqa-r": "MLQA-R",
    "tydi": "TyDi",
    "sib-200:test": "SIB-200",
    "tico-19": "TICO-19",
}
OPTION_TASKS = ("xquad-r", "xquad-paragraphs", "mlqa-r", "tydi")  # the others are near the top
Row = dict[str, Any]


def found(encoder: str, task: str, transform: str) -> Row | None:
    """Return the row of an encoder on a task behind a transform, or None."""
    return next(
        (
            row
            for row in trials.study_result("second-encoder-tasks")["rows"]
            if (row["encoder"], row["task"], row["transform"]) == (encoder, task, transform)
        ),
        None,
    )


def change(test: Row | None, interval: bool = True) -> str:
    """Return a change with its interval, and the stars of its corrected p-value."""
    if test is None:
        return ""
    between = f" ({test['low']:+.3f} to {test['high']:+.3f})" if interval else ""
    return f"{test['difference']:+.3f}{between}{significance_mark(test['p_holm'])}"


def transforms() -> list[Row]:
    """Return both encoders on XQuAD-R behind each transform."""
    rows = []
    for name, label in TRANSFORMS.items():
        row = {"transform": label}
        for encoder, short in SHORT.items():
            entry = found(encoder, "xquad-r", name)
            assert entry is not None, (encoder, name)
            low, high = entry["intervals"]["multilingual"]
            figure = f"{entry['multilingual']:.3f} ({low:.3f} to {high:.3f})"
            row[f"{short}: multilingual"] = figure
            row[f"{short}: monolingual"] = f"{entry['monolingual']:.3f}"
        row["USE: change, multilingual"] = change(entry.get("changes", {}).get("multilingual"))
        row["USE: change, monolingual"] = change(entry.get("changes", {}).get("monolingual"))
        rows.append(row)
    return rows


def tasks(scenario: str) -> list[Row]:
    """Return the second encoder's mAP on each task, and what each transform changes."""
    rows = []
    for task, label in TASKS.items():
        entry = found(SECOND, task, "zero-shot")
        if entry is None or scenario not in entry:
            continue
        row = {"task": label, "zero-shot": f"{entry[scenario]:.3f}"}
        for name in [x for x in TRANSFORMS if x != "zero-shot"]:
            behind = found(SECOND, task, name)
            assert behind is not None, (task, name)
            row[TRANSFORMS[name]] = change(behind["changes"][scenario], False)
        rows.append(row)
    return rows


def bias() -> list[Row]:
    """Return two measures of language bias of both encoders, zero-shot and behind transforms."""
    rows = []
    for task in ("xquad-r", "xquad-paragraphs", "mlqa-r"):
        for encoder, short in SHORT.items():
            row = {"task": TASKS[task], "encoder": short}
            for measure, digits in (("intrusion@10", 3), ("rank_distance", 0)):
                for name in ("zero-shot", "lsar", "trained"):
                    entry = found(encoder, task, name)
                    assert entry is not None, (encoder, task, name)
                    column = f"{measure.replace('_', ' ')}, {TRANSFORMS[name]}"
                    row[column] = f"{entry[measure]:.{digits}f}"
            rows.append(row)
    return rows


def between_encoders() -> list[Row]:
    """Return the difference between the encoders in the same languages, by task and transform."""
    study = trials.study_result("second-encoder-tasks")
    rows = []
    for task, label in TASKS.items():
        for kind, changes in study.get("pairs", {}).get(task, {}).items():
            row = {"task": label, "behind": TRANSFORMS[kind]}
            for scenario in ("multilingual", "monolingual"):
                figures = ["", ""]
                if scenario in changes:
                    figures = [f"{x:.3f}" for x in means(study["rows"], task, kind, scenario)]
                row[f"{scenario}: e5-small"], row[f"{scenario}: USE"] = figures
                row[f"{scenario}: USE less e5-small"] = change(changes.get(scenario))
            rows.append(row)
    return rows


def means(rows: list[Row], task: str, kind: str, scenario: str) -> tuple[float, float]:
    """Return a figure of both encoders; behind a trained transform, with each one's options."""
    found = {}
    for row in rows:  # an encoder's other options follow the defaults
        if row["task"] == task and row["transform"].partition(",")[0] == kind:
            found[row["encoder"]] = row[scenario]
    return found[FIRST], found[SECOND]


def options() -> list[Row]:
    """Return what each method changes with the options of e5-small, and with the encoder's own."""
    rows = []
    for own in trials.study_result("second-encoder-tasks")["rows"]:
        method = own["transform"].partition(",")[0]
        default = found(SECOND, own["task"], method)
        if own["options"] != SECOND or default is None or own["task"] not in OPTION_TASKS:
            continue
        rows.append(
            {
                "task": TASKS[own["task"]],
                "method": TRANSFORMS[method].partition(",")[0],
                "own options": own["transform"].partition(", ")[2].replace("_", " "),
                "multilingual, options of e5-small": change(default["changes"]["multilingual"]),
                "multilingual, own options": change(own["changes"]["multilingual"]),
                "monolingual, options of e5-small": change(default["changes"]["monolingual"]),
                "monolingual, own options": change(own["changes"]["monolingual"]),
            }
        )
    return rows


def on_collections() -> list[Row]:
    """Return what was chosen on each collection for both encoders, and what it brought."""
    entries = dict(collections.untrained())
    rows = []
    for name in dict.fromkeys(key.rpartition(", ")[0] for key in entries):
        row = {"collection": name}
        for short in SHORT.values():
            entry = entries.get(f"{name}, {short}")
            steps = entry.get("choice", {}).get("steps") if entry is not None else ""
            row[f"{short}: chosen"] = "" if entry is None else steps or "nothing"
            row[f"{short}: brought"] = ""
            if entry is not None and steps:
                row[f"{short}: brought"] = collections.change(entry, "multilingual", steps)
        rows.append(row)
    return rows


def sentences() -> list[Row]:
    """Return the figures of both encoders behind transforms of few sentences."""
    rows = trials.study_result("second-encoder")["rows"]
    return [
        {
            "encoder": SHORT[row["encoder"]],
            "transform": row["transform"],
            "sentences a language": str(row["sentences"] or ""),
            **{name: f"{row[name]:.4f}" for name in trials.SCENARIOS},
            "distance": f"{row['rank distance']:.0f}",
        }
        for row in rows
    ]


def tables() -> dict[str, list[Row]]:
    """Return the rows of each table by its name."""
    return {
        "second encoder, transforms": transforms(),
        "second encoder, bias": bias(),
        "second encoder, multilingual": tasks("multilingual"),
        "second encoder, monolingual": tasks("monolingual"),
        "second encoder, pairs": between_encoders(),
        "second encoder, options": options(),
        "second encoder, collections": on_collections(),
        "second encoder, sentences": sentences(),
    }


def pictures() -> dict[str, str]:
    """Return the SVG of the page's chart, by its path below docs/."""
    rows: list[Row] = []
    for name, label in TRANSFORMS.items():
        row: Row = {"model": label}
        for encoder, short in SHORT.items():
            entry = found(encoder, "xquad-r", name)
            row[short] = None if entry is None else entry["multilingual"]
        rows.append(row)
    title = "Transforms of two encoders: multilingual mAP on XQuAD-R"
    drawn = summaries.dots(rows, tuple(SHORT.values()), title, "multilingual mAP")
    return {"images/results-second-encoder.svg": drawn}
