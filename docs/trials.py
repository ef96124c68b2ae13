"""Build the tables of the guides to training and of docs/results/appendix.md from studies/."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

from mixling.reports.narrative import same_language_share

ROOT = Path(__file__).parent.parent
Table = list[dict[str, Any]]
SCENARIOS = ("monolingual", "cross-lingual", "multilingual")
SIGNIFICANT = 0.05
RECIPE = {
    "none": "zero-shot",
    "transform": "the shipped transform (39 languages)",
    "recipe-800": "the recipe before (x-y, 800 steps)",
    "recipe": "`--recipe balanced` (x-y and hybrid, averaged)",
}

# transforms fitted after training, by method
FITTED = {"trained": "trained transform", "lsar": "lsar"}


@cache
def study_result(name: str) -> dict[str, Any]:
    """Return a study's committed result."""
    return json.loads((ROOT / "studies" / f"{name}.json").read_text())


def change(row: dict[str, float] | None, digits: int = 4) -> str:
    """Return a difference with its interval.

    It stands in brackets if it may be chance (p >= `SIGNIFICANT`, Holm).
    """
    if not row:
        return ""
    text = f"{row['difference']:+.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
    return text if row["p"] < SIGNIFICANT else f"({text})"


def against(name: str, task: str) -> Table:
    """Return a study's means on a task and the change of each variant against its reference."""
    study, rows = study_result(name), []
    tested = study["tested"].get(task, {})
    for row in study["table"]:
        if row["task"] == task:
            changes = tested.get(row["variant"], {})
            rows.append(
                {
                    "variant": row["variant"],
                    "monolingual": score(row, "monolingual.mAP"),
                    "cross-lingual": score(row, "cross-lingual.mAP"),
                    "multilingual": score(row, "multilingual.mAP"),
                    "distance": score(row, "multilingual.rank_distance", 0),
                    "monolingual, change": change(changes.get("monolingual.mAP")),
                    "multilingual, change": change(changes.get("multilingual.mAP")),
                }
            )
    return shortened(rows)


def score(row: dict[str, Any], column: str, digits: int = 4) -> str:
    """Return a mean, or nothing if the task has none."""
    return f"{row[column]:.{digits}f}" if column in row else ""


def shortened(rows: Table) -> Table:
    """Drop the columns that are empty in every row."""
    columns = [k for k in rows[0] if any(r[k] != "" for r in rows)]
    return [{k: r[k] for k in columns} for r in rows]


def optical() -> Table:
    """Return both tasks before and after, with intervals."""
    study, rows = study_result("optical"), []
    for task in study["tested"]:
        for run in study["runs"]:
            scores = run["tasks"][task]
            changes = study["tested"][task].get(run["variant"], {})
            low, high = scores["intervals"]["multilingual"]
            rows.append(
                {
                    "task": task.partition(":")[0],
                    "trained with": run["variant"],
                    "multilingual mAP": f"{scores['multilingual']['mAP']:.4f} [{low:.4f}, "
                    f"{high:.4f}]",
                    "change": change(changes.get("multilingual.mAP")),
                    "cross-lingual": f"{scores['cross-lingual']['mAP']:.4f}",
                }
            )
    return rows


def forms() -> Table:
    """Return one vector a text and late interaction, with the student's queries."""
    return [
        {
            "form": r["form"],
            "asks": r["asks"],
            "to English: mAP": f"{r['to English']['mAP']:.4f}",
            "to English, change": change(r["to English"] if "p" in r["to English"] else None),
            "multilingual mAP": f"{r['multilingual']['mAP']:.4f}",
            "multilingual, change": change(r["multilingual"] if "p" in r["multilingual"] else None),
        }
        for r in study_result("late")["rows"]
    ]


def by_language() -> Table:
    """Return multilingual mAP by query language, before and after."""
    runs, rows = study_result("optical")["runs"], []
    for task in runs[0]["tasks"]:
        for run in runs:
            multilingual = run["tasks"][task]["multilingual"]["by_language"]
            rows.append(
                {
                    "task": task.partition(":")[0],
                    "trained with": run["variant"],
                    "multilingual mAP by query language": ", ".join(
                        f"{x} {v['mAP']:.3f}" for x, v in sorted(multilingual.items())
                    ),
                }
            )
    return rows


def mined() -> Table:
    """Return what was mined."""
    report = study_result("preparation")["mined"]
    return [
        {
            "queries": f"{report['queries']:,}",
            "with negatives": f"{report['queries_with_negatives']:,}",
            "with an intruder": f"{report['queries_with_intruders']:,} "
            f"({report['queries_with_intruders'] / report['queries']:.0%})",
            "negatives": f"{report['negatives_mined']:,}",
            "of them intruders": f"{report['intruder_share']:.1%}",
            "in the query's language": f"{report['same_language_share']:.1%}",
        }
    ]


def located() -> Table:
    """Return the trials on paragraphs and on sentences."""
    rows = []
    for row in study_result("located")["rows"]:
        paragraphs, sentences = row["mlqa-held-out"], row["located-sentences"]
        rows.append(
            {
                "trained on": row["trial"].replace("untrained", "nothing: zero-shot")
                + (f", then {FITTED[row['after']]}" if row.get("after") else ""),
                "share of the base": f"{row['share']:g}",
                "seconds": "" if row["seconds"] is None else f"{row['seconds']:.0f}",
                "paragraphs": three(paragraphs),
                "sentences": three(sentences),
                "distance": f"{sentences['rank distance']:.0f}",
                "Arabic": f"{row['arcd-sentences']['monolingual']:.4f}",
            }
        )
    return rows


def three(row: dict[str, float]) -> str:
    """Return monolingual, cross-lingual and multilingual mAP as one text."""
    return " / ".join(f"{row[s]:.4f}" for s in ("monolingual", "cross-lingual", "multilingual"))


def recipe() -> Table:
    """Return the zero-shot encoder, the transform and the balanced recipe on the tests."""
    study, rows = study_result("recipe"), []
    for task in study["tested"]:
        tested = study["tested"][task]
        for run in study["runs"]:
            scores, changes = run["tasks"][task], tested.get(run["variant"], {})
            rows.append(
                {
                    "task": task,
                    "model": RECIPE[run["variant"]],
                    **{s: f"{scores[s]['mAP']:.4f}" if s in scores else "" for s in SCENARIOS},
                    "distance": ""
                    if math.isnan(distance := scores["multilingual"]["rank_distance"])
                    else f"{distance:.0f}",
                    "nDCG@20": f"{scores['multilingual']['nDCG@20']:.4f}",
                    "monolingual, change": change(changes.get("monolingual.mAP")),
                    "multilingual, change": change(changes.get("multilingual.mAP")),
                }
            )
    return rows


def agreement() -> Table:
    """Return how often the model finds the marked sentence, by margin."""
    return [
        {
            "set": row["set"],
            "answers": f"{row['answers']:,}",
            "by chance": f"{row['chance']:.0%}",
            **{
                f"margin {float(m):g}": f"{a:.0%} of {k:.0%}"
                for m, (a, k) in row["margins"].items()
            },
            "wrong negatives": f"{row['wrong negatives']:.1%}",
        }
        for row in study_result("located")["agreement"]
    ]


def rivals(task: str = "xquad-r") -> Table:
    """Return every method of training or debiasing on equal data.

    Beside XQuAD-R stand its paragraphs.
    """
    study, rows = study_result("rivals"), []
    for run in study["runs"]:
        sentences, name = run["tasks"][task], run["variant"]
        changes = {t: study["tested"][t].get(name, {}) for t in run["tasks"]}
        row = {
            "variant": name,
            **{s: f"{sentences[s]['mAP']:.4f}" for s in SCENARIOS},
            "distance": f"{sentences['multilingual']['rank_distance']:.0f}",
            "query's language in ten": f"{same_language_share(sentences)[0]:.0%}",
            "monolingual, change": change(changes[task].get("monolingual.mAP")),
            "multilingual, change": change(changes[task].get("multilingual.mAP")),
        }
        if task == "xquad-r":
            row["paragraphs: nDCG@20"] = (
                f"{run['tasks']['xquad-paragraphs']['multilingual']['nDCG@20']:.4f}"
            )
            row["paragraphs: multilingual, change"] = change(
                changes["xquad-paragraphs"].get("multilingual.mAP")
            )
        rows.append(row)
    return rows


BANDS = {
    "all": "all",
    "high": "much",
    "middle": "some",
    "low": "little",
    "unseen": "none",
}  # text in CC-100


def low_resource() -> Table:
    """Return every variant of the low-resource study, a row each.

    The largest less the smallest seed stands in brackets.
    """
    rows: dict[str, dict[str, str]] = {}
    for means in study_result("low-resource")["table"]:
        row = rows.setdefault(
            means["variant"], {"variant": means["variant"], "seeds": str(means["seeds"])}
        )
        for scenario in SCENARIOS:
            spread = score(means, f"{scenario}.mAP.spread", 3) if means["seeds"] > 1 else ""
            value = score(means, f"{scenario}.mAP")
            row[f"{short(means['task'])}, {scenario}"] = f"{value} ({spread})" if spread else value
    return shortened(list(rows.values()))


def contrasts(study: str = "robustness", bands: bool = False) -> Table:
    """Return contrasts of two models, a row each: changes of mAP on every task.

    Args:
        study: The study whose contrasts are shown.
        bands: Split by how much text of the query language CC-100 holds, where a task has several
            such bands; otherwise all languages stand together.
    """
    rows: Table = []
    for name, cells in study_result(study)["contrasts"].items():
        row = {"contrast": name}
        for cell in cells:
            if (cell["band"] == "all") == bands:
                continue
            row[
                where(cell["task"], cell["scenario"])
                + (f", {BANDS[cell['band']]}" if bands else "")
            ] = change(cell, 3)
        rows.append(row)
    return shortened(rows)


def short(task: str) -> str:
    """Return a task without its split and languages."""
    return task.partition("@")[0].partition(":")[0]


def where(task: str, scenario: str) -> str:
    """Return a column's name: task, scenario and type of noise."""
    clean, _, noise = task.partition("~")
    parts = (
        short(clean),
        "monolingual" if scenario == "monolingual" else "multilingual",
        noise.partition(":")[0],
    )
    return ", ".join(p for p in parts if p)


def robustness() -> Table:
    """Return out-of-domain scores divided by in-domain scores."""
    rows: Table = []
    for name, ratios in study_result("robustness")["robustness"].items():
        row = {"variant": name}
        for r in ratios:
            row[where(r["task"], r["scenario"])] = (
                f"{r['ratio']:.3f} [{r['low']:.3f}, {r['high']:.3f}]"
            )
        rows.append(row)
    return rows


def noisy() -> Table:
    """Return the share of each score that noise leaves."""
    rows: dict[str, dict[str, str]] = {}
    for r in study_result("noisy")["rows"]:
        row = rows.setdefault(r["model"], {"variant": r["model"]})
        row[where(f"{r['task']}~{r['noise']}", r["scenario"])] = (
            f"{r['noisy']:.3f}: {r['ratio']:.0%} [{r['low']:.0%}, {r['high']:.0%}]"
        )
    return list(rows.values())


def adapted() -> Table:
    """Return subwords a word and multilingual mAP, before and after adaptation."""
    study, rows = study_result("preparation"), []
    for row in study["rows"]:
        rows.append(
            {
                "variant": row["variant"],
                **{
                    f"{x}: subwords per word": f"{row['subwords a word'][x]:.2f}"
                    for x in ("am", "km")
                },
                **{
                    f"{x} queries": (
                        f"{row[x]['multilingual mAP']:.3f} "
                        f"{change(row[x] if 'p' in row[x] else None, 3)}"
                    ).strip()
                    for x in ("am", "km", "en", "ar", "th")
                },
            }
        )
    return rows


def first_ten() -> Table:
    """Return the languages of the first ten results of Amharic and Khmer queries."""
    rows = []
    for variant, shares in study_result("preparation")["first ten"].items():
        for language, share in shares.items():
            text = ", ".join(f"{x} {v:.0%}" for x, v in sorted(share.items(), key=lambda i: -i[1]))
            rows.append({"variant": variant, "query language": language, "first ten": text})
    return rows


def tables() -> dict[str, dict[str, Table]]:
    """Return every table of each page."""
    return {
        "guides/training": {"terms": against("terms", "xquad-r")},
        "guides/preparing": {
            "agreement": agreement(),
            "mined": mined(),
            "negatives": against("negatives", "mlqa-held-out"),
        },
        "guides/adapting": {
            "optical": optical(),
            "forms": forms(),
            "languages": by_language(),
            "adapt": adapted(),
            "first ten": first_ten(),
        },
        "results/appendix": {
            "located": located(),
            "rivals": rivals(),
            "rivals, MLQA-R": rivals("mlqa-r"),
            "mdpr": against("mdpr", "tydi"),
            "low-resource": low_resource(),
            "contrasts": contrasts(),
            "bands": contrasts(bands=True),
            "robustness": robustness(),
            "noise": noisy(),
            "noise, contrasts": contrasts("noisy"),
        },
    }
