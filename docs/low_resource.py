"""Make the tables and charts of the two pages on the low-resource recipe.

docs/results/low-resource.md: tests, from studies/low-resource-tests.json.
docs/results/low-resource-search.md: development tasks, from studies/low-resource-trials.json.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from docs import summaries, trials
from mixling.corpora.languages import language_name
from mixling.corpora.resources import LEVEL_ORDER

PAGE, SEARCH = "docs/results/low-resource.md", "docs/results/low-resource-search.md"
Row = dict[str, Any]
RECIPE, MDPR, FEW_SHOT = "low-resource", "mDPR's way, German", "low-resource, few-shot"
APART = (FEW_SHOT, "balanced recipe, longer")  # shown by themselves
NAMES = {
    "shipped transform": "the shipped transform",
    RECIPE: "low-resource recipe",
    FEW_SHOT: "with AfriQA's train part",
}
ORDER = ("zero-shot", "LSAR", "shipped transform", "mDPR's way, English", MDPR)
BY_LANGUAGE = ("zero-shot", MDPR, "balanced recipe", RECIPE)
# title, task, figure
COLUMNS = (
    ("AfriQA", "afriqa", "multilingual mAP, all"),
    ("AfriQA, R@10", "afriqa", "multilingual R@10, all"),
    ("TyDi", "tydi@bn,sw,te", "monolingual mAP, all"),
    ("SIB-200", "sib-200", "multilingual mAP, all"),
    ("TICO-19", "tico-19", "multilingual mAP, all"),
    ("help", "libreoffice-help", "multilingual mAP, all"),
    ("XQuAD-R, monolingual", "xquad-r", "monolingual mAP, all"),
    ("XQuAD-R", "xquad-r", "multilingual mAP, all"),
)
IN_DOMAIN = (
    ("XQuAD-R, monolingual", "xquad-r", "monolingual mAP, all"),
    ("cross-lingual", "xquad-r", "cross-lingual mAP, all"),
    ("multilingual", "xquad-r", "multilingual mAP, all"),
    ("rank distance", "xquad-r", "multilingual rank_distance, all"),
    ("paragraphs, monolingual", "xquad-paragraphs", "monolingual mAP, all"),
    ("paragraphs", "xquad-paragraphs", "multilingual mAP, all"),
    ("MLQA-R, monolingual", "mlqa-r", "monolingual mAP, all"),
    ("MLQA-R", "mlqa-r", "multilingual mAP, all"),
)
NOISE = {"clean": "afriqa", "typos": "afriqa~typos", "no diacritics": "afriqa~diacritics"}
BANDS = {"high": "much", "middle": "some", "low": "little", "unseen": "none"}
STEPS = {
    "100": "all",
    "400": "all, 400 steps",
    "800": "all, 800 steps",
    "1,600": "all, 1,600 steps",
}
POOLS = {
    "afriqa": "AfriQA",
    "mlqa-held-out": "MLQA",
    "libreoffice-help": "help",
    "tydi": "TyDi",
}
TASKS = {
    "afriqa": "AfriQA",
    "tydi": "TyDi",
    "sib-200": "SIB-200",
    "libreoffice-help": "help",
    "mlqa-held-out": "MLQA",
    "arcd-sentences": "ARCD",
}


def _result() -> dict[str, Any]:
    return trials.study_result("low-resource-tests")


def _name(method: str) -> str:
    return NAMES.get(method, method)


def _methods() -> list[str]:
    """Return the methods that are measured: those of `ORDER`, then the recipes.

    Those of `APART` are left out.
    """
    found = [m for m in _result()["figures"] if m not in APART]
    return [*(m for m in ORDER if m in found), *sorted(m for m in found if m not in ORDER)]


def _mean(method: str, task: str, figure: str) -> float | None:
    """Return the mean over seeds of a figure, None where it is not measured."""
    values = _result()["figures"].get(method, {}).get(task, {}).get(figure)
    return None if values is None else statistics.fmean(values.values())


def table(columns: tuple[tuple[str, str, str], ...], methods: Sequence[str] = ()) -> list[Row]:
    """Return a row of figures for each method; without names, for all but those of `APART`."""
    rows = []
    for method in methods or _methods():
        row: Row = {"model": _name(method)}
        for title, task, figure in columns:
            value = _mean(method, task, figure)
            row[title] = "" if value is None else f"{value:.{0 if 'distance' in title else 3}f}"
        rows.append(row)
    return rows


def contrast(first: str, second: str, task: str, figure: str) -> Row | None:
    """Return the test of two methods on a figure."""
    for r in _result()["contrasts"]:
        name = f"{r['scenario']} {r['measure']}, {r['languages']}"
        if (r["first"], r["second"], r["task"], name) == (first, second, task, figure):
            found: Row = r
            return found
    return None


def by_language() -> list[Row]:
    """Return AfriQA's pool by the language of the query."""
    rows = []
    languages = [
        x.rpartition(", ")[2]
        for x in _result()["figures"][RECIPE]["afriqa"]
        if x.startswith("multilingual mAP, ")
    ]
    for tag in sorted(x for x in languages if x not in ("all", *LEVEL_ORDER)):
        figure = f"multilingual mAP, {tag}"
        row: Row = {"language": language_name(tag)}
        for method in [m for m in _methods() if m in BY_LANGUAGE]:
            value = _mean(method, "afriqa", figure)
            row[_name(method)] = "" if value is None else f"{value:.3f}"
        found = contrast(MDPR, RECIPE, "afriqa", figure)
        row["recipe less mDPR's way"] = "" if found is None else trials.change(found, 3)
        row["p"] = "" if found is None else f"{found['p']:.2g}"
        rows.append(row)
    return rows


def contrasts() -> list[Row]:
    """Return each contrast on the tasks' pools and on monolingual search."""
    rows: dict[tuple[str, str], Row] = {}
    for r in [x for x in _result()["contrasts"] if x["second"] not in APART]:
        key = (r["first"], r["second"])
        rows.setdefault(key, {"from": _name(r["first"]), "to": _name(r["second"])})
    for (first, second), row in rows.items():
        for title, task, figure in COLUMNS:
            found = contrast(first, second, task, figure)
            row[title] = "" if found is None else trials.change(found, 3)
    return list(rows.values())


def few_shot() -> list[Row]:
    """Return the recipe with and without AfriQA's train part, and the change."""
    main = tuple(c for c in COLUMNS if c[0] not in ("TICO-19", "help"))
    change: Row = {"model": "change"}
    for title, task, figure in main:
        found = contrast(RECIPE, FEW_SHOT, task, figure)
        change[title] = "" if found is None else trials.change(found, 3)
    return [*table(main, (RECIPE, FEW_SHOT)), change]


def bands() -> list[Row]:
    """Return the pools of sentences by how much text of the query's language CC-100 holds."""
    rows = []
    for method in _methods():
        row: Row = {"model": _name(method)}
        for title, task in (("SIB-200", "sib-200"), ("TICO-19", "tico-19")):
            for band, words in BANDS.items():
                value = _mean(method, task, f"multilingual mAP, {band}")
                row[f"{title}, {words}"] = "" if value is None else f"{value:.3f}"
        rows.append(row)
    return rows


def noise() -> list[Row]:
    """Return AfriQA's pool with noisy queries, and what is left of the clean figure.

    Both are means over the seeds that were measured with noise.
    """
    rows = []
    for method in _methods():
        found = _result()["figures"][method]
        row: Row = {"model": _name(method)}
        for title, task in NOISE.items():
            noisy = found.get(task, {}).get("multilingual mAP, all")
            if noisy is None:
                row[title] = ""
                continue
            clean = statistics.fmean(found["afriqa"]["multilingual mAP, all"][x] for x in noisy)
            value = statistics.fmean(noisy.values())
            row[title] = f"{value:.3f}"
            if task != "afriqa":
                row[title] += f" ({value / clean:.0%})"
        rows.append(row)
    return rows


def _rows() -> dict[str, Row]:
    """Return the rows of the trials by label."""
    found: dict[str, Row] = trials.study_result("low-resource-trials")["rows"]
    return found


def trial_table() -> list[Row]:
    """Return every trial, the best score first."""
    rows = []
    for r in sorted(_rows().values(), key=lambda r: -r["score"]):
        rows.append(
            {
                "trial": r["trial"],
                "base": f"{r['share']:g}",
                "score": f"{r['score']:+.3f}",
                **{title: f"{r['changes'][task]:+.3f}" for task, title in TASKS.items()},
                "AfriQA's pool": f"{r['tasks']['afriqa']['multilingual']['mAP']:.3f}",
                "qualifies": "no: " + _vetoes(r["vetoes"]) if r["vetoes"] else "yes",
            }
        )
    return rows


def curve() -> list[Row]:
    """Return the development tasks' pools by steps: all sources, .4 of the base."""
    rows = []
    for steps, trial in STEPS.items():
        found = _rows().get(f"{trial}, base 0.4")
        if found is not None:
            pools = {
                f"{title}": found["tasks"][task]["multilingual"]["mAP"]
                for task, title in POOLS.items()
            }
            rows.append({"model": f"{steps} steps", **pools})
    return rows


def _vetoes(vetoes: list[str]) -> str:
    """Return vetoes in a few words: the task, and what of it fell."""
    short: dict[str, list[str]] = {}
    for veto in vetoes:
        task, _, what = veto.partition(": ")
        short.setdefault(TASKS[task], []).append(" ".join(what.split()[:2]))
    return "; ".join(f"{task} ({', '.join(what)})" for task, what in short.items())


def tables() -> dict[str, list[Row]]:
    """Return the tables of docs/results/low-resource.md."""
    batch_types = summaries.low_resource()
    return {
        "low-resource, short": summaries.figures(
            batch_types, ("AfriQA", "SIB-200", "TyDi", "XQuAD-R")
        ),
        "low-resource, tests": table(COLUMNS),
        "low-resource, languages": by_language(),
        "low-resource, in domain": table(IN_DOMAIN),
        "low-resource, contrasts": contrasts(),
        "low-resource, few-shot": few_shot(),
        "low-resource, bands": bands(),
        "low-resource, noise": noise(),
    }


def search_tables() -> dict[str, list[Row]]:
    """Return the tables of docs/results/low-resource-search.md."""
    return {
        "low-resource trials": trial_table(),
        "low-resource curve": summaries.figures(curve(), tuple(POOLS.values())),
    }


def pictures() -> dict[str, str]:
    """Return the chart of the tests, by its path below docs/."""
    columns = COLUMNS[0], COLUMNS[3], COLUMNS[7]
    rows = [
        {"model": _name(m), **{title: _mean(m, task, f) for title, task, f in columns}}
        for m in _methods()
    ]
    title = "Multilingual mAP of each method out of domain and in domain"
    names = [c[0] for c in columns]
    drawn = summaries.dots(rows, names, title, "multilingual mAP")
    return {"images/results-low-resource-tests.svg": drawn}


def search_pictures() -> dict[str, str]:
    """Return the chart of the trials, by its path below docs/."""
    title = "Multilingual mAP on development tasks by the number of steps"
    drawn = summaries.dots(curve(), list(POOLS.values()), title, "multilingual mAP")
    return {"images/results-low-resource-search.svg": drawn}
