"""Tables of the guides to training and of docs/trials.md, from the committed results of
studies/.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from mixling.reports.narrative import same_language_share

ROOT = Path(__file__).parent.parent
Table = list[dict[str, Any]]
SCENARIOS = ("monolingual", "cross-lingual", "multilingual")
RECIPE = {
    "none": "zero-shot",
    "map": "the shipped transform (39 languages)",
    "recipe-800": "the recipe before (x-y, 800 steps)",
    "recipe": "`--recipe balanced` (x-y and hybrid, averaged)",
}


def study_result(name: str) -> dict[str, Any]:
    """Return a study's committed result."""
    return json.loads((ROOT / "studies" / f"{name}.json").read_text())


def change(row: dict[str, float] | None, digits: int = 4) -> str:
    """Return a difference with its interval, in brackets where it may be chance (p >= 0.05,
    Holm).
    """
    if not row:
        return ""
    text = f"{row['difference']:+.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
    return text if row["p"] < 0.05 else f"({text})"


def against(name: str, task: str) -> Table:
    """A study's means on a task, and what each variant changes against the one that it is tested
    against.
    """
    study, rows = study_result(name), []
    tested = study["tested"].get(task, {})
    for line in study["table"]:
        if line["task"] == task:
            mine = tested.get(line["variant"], {})
            rows.append(
                {
                    "variant": line["variant"],
                    "monolingual": score(line, "monolingual.mAP"),
                    "cross-lingual": score(line, "cross-lingual.mAP"),
                    "multilingual": score(line, "multilingual.mAP"),
                    "distance": score(line, "multilingual.rank_distance", 0),
                    "monolingual, change": change(mine.get("monolingual.mAP")),
                    "multilingual, change": change(mine.get("multilingual.mAP")),
                }
            )
    return shortened(rows)


def score(line: dict[str, Any], column: str, digits: int = 4) -> str:
    """A mean, or nothing where the task has none."""
    return f"{line[column]:.{digits}f}" if column in line else ""


def shortened(rows: Table) -> Table:
    """Without the columns that are empty in every row."""
    kept = [k for k in rows[0] if any(r[k] != "" for r in rows)]
    return [{k: r[k] for k in kept} for r in rows]


def optical() -> Table:
    """Before and after, with intervals, on both tasks."""
    study, rows = study_result("optical"), []
    for task in study["tested"]:
        for run in study["runs"]:
            mine = run["tasks"][task]
            tested = study["tested"][task].get(run["variant"], {})
            low, high = mine["intervals"]["multilingual"]
            rows.append(
                {
                    "task": task.partition(":")[0],
                    "trained with": run["variant"],
                    "multilingual mAP": f"{mine['multilingual']['mAP']:.4f} [{low:.4f}, "
                    f"{high:.4f}]",
                    "change": change(tested.get("multilingual.mAP")),
                    "cross-lingual": f"{mine['cross-lingual']['mAP']:.4f}",
                }
            )
    return rows


def forms() -> Table:
    """One vector a text and late interaction, the student asking, the teacher's documents."""
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
            pool = run["tasks"][task]["multilingual"]["by_language"]
            rows.append(
                {
                    "task": task.partition(":")[0],
                    "trained with": run["variant"],
                    "multilingual mAP by query language": ", ".join(
                        f"{x} {v['mAP']:.3f}" for x, v in sorted(pool.items())
                    ),
                }
            )
    return rows


def mined() -> Table:
    """What was mined."""
    m = study_result("preparation")["mined"]
    return [
        {
            "queries": f"{m['queries']:,}",
            "with negatives": f"{m['queries_with_negatives']:,}",
            "with an intruder": f"{m['queries_with_intruders']:,} "
            f"({m['queries_with_intruders'] / m['queries']:.0%})",
            "negatives": f"{m['negatives_mined']:,}",
            "of them intruders": f"{m['intruder_share']:.1%}",
            "in the query's language": f"{m['same_language_share']:.1%}",
        }
    ]


def located() -> Table:
    """Trials on paragraphs and on sentences."""
    rows = []
    for row in study_result("located")["rows"]:
        held, cut = row["mlqa-held-out"], row["located-sentences"]
        rows.append(
            {
                "trained on": row["trial"] + (f", then {row['after']}" if row.get("after") else ""),
                "share of the base": f"{row['share']:g}",
                "seconds": "" if row["seconds"] is None else f"{row['seconds']:.0f}",
                "paragraphs": three(held),
                "sentences": three(cut),
                "distance": f"{cut['rank distance']:.0f}",
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
            mine, moved = run["tasks"][task], tested.get(run["variant"], {})
            rows.append(
                {
                    "task": task,
                    "model": RECIPE[run["variant"]],
                    **{s: f"{mine[s]['mAP']:.4f}" if s in mine else "" for s in SCENARIOS},
                    "distance": ""
                    if math.isnan(distance := mine["multilingual"]["rank_distance"])
                    else f"{distance:.0f}",
                    "nDCG@20": f"{mine['multilingual']['nDCG@20']:.4f}",
                    "monolingual, change": change(moved.get("monolingual.mAP")),
                    "multilingual, change": change(moved.get("multilingual.mAP")),
                }
            )
    return rows


def agreement() -> Table:
    """How often the model finds the marked sentence, of the links that each margin keeps."""
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
    """Every way to train or to debias on equal data: what is found, and in whose language first.

    Beside XQuAD-R its paragraphs.
    """
    study, rows = study_result("rivals"), []
    for run in study["runs"]:
        sentences, name = run["tasks"][task], run["variant"]
        moved = {t: study["tested"][t].get(name, {}) for t in run["tasks"]}
        row = {
            "variant": name,
            **{s: f"{sentences[s]['mAP']:.4f}" for s in SCENARIOS},
            "distance": f"{sentences['multilingual']['rank_distance']:.0f}",
            "query's language in ten": f"{same_language_share(sentences)[0]:.0%}",
            "monolingual, change": change(moved[task].get("monolingual.mAP")),
            "multilingual, change": change(moved[task].get("multilingual.mAP")),
        }
        if task == "xquad-r":
            row["paragraphs: nDCG@20"] = (
                f"{run['tasks']['xquad-paragraphs']['multilingual']['nDCG@20']:.4f}"
            )
            row["paragraphs: multilingual, change"] = change(
                moved["xquad-paragraphs"].get("multilingual.mAP")
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
    """Every variant of the low-resource study, a row each.

    In brackets the largest less the smallest seed.
    """
    rows: dict[str, dict[str, str]] = {}
    for line in study_result("low-resource")["table"]:
        row = rows.setdefault(
            line["variant"], {"variant": line["variant"], "seeds": str(line["seeds"])}
        )
        for scenario in SCENARIOS:
            spread = score(line, f"{scenario}.mAP.spread", 3) if line["seeds"] > 1 else ""
            value = score(line, f"{scenario}.mAP")
            row[f"{short(line['task'])}, {scenario}"] = f"{value} ({spread})" if spread else value
    return shortened(list(rows.values()))


def contrasts(study: str = "robustness", bands: bool = False) -> Table:
    """One way to train against another, a row each: changes of mAP on every task. bands: by how
    much text of the question's language was seen, where a task has several such bands; else over
    all languages.
    """
    rows: Table = []
    for name, cells in study_result(study)["contrasts"].items():
        row = {"contrast": name}
        for c in cells:
            if (c["band"] == "all") == bands:
                continue
            row[where(c["task"], c["scenario"]) + (f", {BANDS[c['band']]}" if bands else "")] = (
                change(c, 3)
            )
        rows.append(row)
    return shortened(rows)


def short(task: str) -> str:
    """A task's name without split and languages."""
    return task.partition("@")[0].partition(":")[0]


def where(task: str, scenario: str) -> str:
    """A column: task, setting and, if there is, the kind of noise."""
    clean, _, noise = task.partition("~")
    parts = (
        short(clean),
        "monolingual" if scenario == "monolingual" else "multilingual",
        noise.partition(":")[0],
    )
    return ", ".join(p for p in parts if p)


def robustness() -> Table:
    """Out of domain over in domain."""
    rows: Table = []
    for name, each in study_result("robustness")["robustness"].items():
        row = {"variant": name}
        for r in each:
            row[where(r["task"], r["scenario"])] = (
                f"{r['ratio']:.3f} [{r['low']:.3f}, {r['high']:.3f}]"
            )
        rows.append(row)
    return rows


def noisy() -> Table:
    """What noise leaves of each score."""
    rows: dict[str, dict[str, str]] = {}
    for r in study_result("noisy")["rows"]:
        row = rows.setdefault(r["model"], {"variant": r["model"]})
        row[where(f"{r['task']}~{r['noise']}", r["scenario"])] = (
            f"{r['noisy']:.3f}: {r['ratio']:.0%} [{r['low']:.0%}, {r['high']:.0%}]"
        )
    return list(rows.values())


def adapted() -> Table:
    """Pieces a word and the pool, before and after adaptation."""
    study, rows = study_result("preparation"), []
    for row in study["rows"]:
        rows.append(
            {
                "way": row["way"],
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
    """In which languages the first ten answers to Amharic and Khmer sentences are."""
    rows = []
    for way, shares in study_result("preparation")["first ten"].items():
        for language, share in shares.items():
            said = ", ".join(f"{x} {v:.0%}" for x, v in sorted(share.items(), key=lambda i: -i[1]))
            rows.append({"way": way, "query language": language, "first ten": said})
    return rows


def tables() -> dict[str, dict[str, Table]]:
    """Every table of each page."""
    return {
        "training": {"terms": against("terms", "xquad-r")},
        "preparing": {
            "agreement": agreement(),
            "mined": mined(),
            "negatives": against("negatives", "mlqa-held-out"),
        },
        "adapting": {
            "optical": optical(),
            "forms": forms(),
            "languages": by_language(),
            "adapt": adapted(),
            "first ten": first_ten(),
        },
        "trials": {
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
