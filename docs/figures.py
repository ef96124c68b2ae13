"""Rewrite the tables of README and docs from committed results: `python -m docs.figures`.

A table stands between `<!-- name -->` and `<!-- /name -->`. A test holds the pages to what this
writes, so no figure in them is typed by hand.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

from scipy.stats import spearmanr

from docs import pictures, reference, scale, speed, trials
from docs import results as shown
from mixling.corpora.catalog import SOURCES
from mixling.corpora.resources import LEVEL_ORDER, is_script_seen, resource_level
from mixling.evaluation.bias.table import ALL
from mixling.reports.figures import bars
from mixling.studies.table import markdown

ROOT = Path(__file__).parent.parent


def table() -> str:
    """Return the study's table as README has it."""
    rows = markdown(results()).splitlines()
    return "\n".join(r for r in rows if r.startswith("|"))


def picture() -> str:
    """Draw multilingual mAP by query language, before and after training, as a standalone SVG."""
    runs = {r["variant"]: r["tasks"]["xquad-r"] for r in results()["runs"] if r["seed"] == 0}
    drawn = bars([runs["none"], runs["hybrid(0.5)"]], ["none", "hybrid(0.5)"], "mAP", 1.0)
    drawn = re.sub(r' style="max-width:\d+px"', "", drawn).replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1
    )
    return pictures.carded(drawn) + "\n"


def results() -> dict:
    """Return the committed results of the strategies' study."""
    return measured("studies/xquad-strategies.json")


def measured(name: str) -> dict:
    """Read a committed result file."""
    return json.loads((ROOT / name).read_text())


def rows_of(rows: list[dict]) -> str:
    """Return rows as a Markdown table."""
    lines = [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    return "\n".join([*lines, *(f"| {' | '.join(str(v) for v in r.values())} |" for r in rows)])


def publications() -> list[dict]:
    """Return where each named set is fetched from, and what its data are compared with."""
    rows = []
    for source in SOURCES.values():
        for repository in source.repositories:
            gate = ", gated" if repository.gated else ""
            commit = f"commit `{repository.revision[:12]}`" if repository.revision else "none known"
            rows.append((source.name, f"hub {repository.name}{gate}", commit))
        for download in source.downloads:
            host, *parts = download.address.partition("://")[2].split("/")
            if host == "github.com":
                place = f"github.com/{parts[0]}/{parts[1]}, {parts[-1][:12]}"
            else:
                place = f"{host}, {parts[-1]}"
            known = {
                "SHA-256": download.sha256,
                "SHA-256 of the files": download.content,
                "MD5": download.md5,
            }
            sums = [f"{kind} `{value[:12]}`" for kind, value in known.items() if value]
            rows.append((source.name, place, ", ".join(sums) or "none known"))
    return [
        {"set": f"`{name}`", "fetched from": place, "commit or checksum": pinned}
        for name, place, pinned in rows
    ]


def titles() -> list[dict]:
    """Return nDCG@10 of the passages' texts and of titles and texts, by set and model."""
    rows = []
    for row in measured("studies/titles.json")["rows"]:
        for scenario in ("monolingual", "cross-lingual", "multilingual"):
            if f"{scenario}, text" in row:
                without, with_title = (
                    row[f"{scenario}, {label}"] for label in ("text", "title and text")
                )
                rows.append(
                    {
                        "task": f"`{row['task']}`, {scenario}",
                        "model": {"bm25": "BM25"}.get(row["model"], "e5-small"),
                        "text": f"{without:.4f}",
                        "title and text": f"{with_title:.4f}",
                        "difference": f"{with_title - without:+.4f}",
                    }
                )
    return rows


def between(row: dict, setting: str) -> str:
    """Return mAP with its interval, or nothing."""
    if setting not in row:
        return ""
    low, high = row["intervals"][setting]["mAP"]
    return f"{row[setting]['mAP']:.3f} ({low:.3f} to {high:.3f})"


def instrument() -> list[dict]:
    """Return zero-shot figures of every benchmark."""
    return [
        {
            "task": r["task"],
            "queries / passages": f"{r['queries']:,} / {r['passages']:,}",
            "model": r["model"],
            "monolingual": between(r, "monolingual"),
            "cross-lingual": between(r, "cross-lingual"),
            "multilingual": between(r, "multilingual"),
            "multilingual R@10": f"{r['multilingual']['R@10']:.3f}",
        }
        for r in measured("studies/instrument.json")["rows"]
        if r["model"] in ("e5-small", "bm25")
    ]


def bias() -> list[dict]:
    """Return bias measures of zero-shot and hybrid on the two sentence benchmarks."""
    rows = {(r["task"], r["model"]): r for r in measured("studies/instrument.json")["rows"]}
    columns = [
        (t, m) for t in ("xquad-r", "mlqa-r") for m in ("e5-small", "hybrid") if (t, m) in rows
    ]

    def cell(key: tuple[str, str], name: str) -> str:
        low, high = rows[key]["intervals"]["bias"][name]
        digits = 0 if name in ("rank_distance", "Max@R") else 3
        return f"{rows[key]['bias'][name]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    return [
        {"measure": name, **{f"{t}, {m}": cell((t, m), name) for t, m in columns}}
        for name in ALL
        if name in rows[columns[0]]["bias"]
    ]


def resource_levels() -> list[dict]:
    """Return SIB-200's multilingual mAP by resource level, with the tokenizer's figures."""
    row = next(
        r
        for r in measured("studies/instrument.json")["rows"]
        if (r["task"], r["model"]) == ("sib-200", "e5-small")
    )
    multilingual, coverage = row["multilingual by language"], row["coverage"]

    def mean(values: list[float]) -> str:
        return f"{sum(values) / len(values):.3f}"

    rows = []
    for band in (*LEVEL_ORDER, "all"):
        for seen in (True, False) if band != "all" else (None,):
            codes = [
                c
                for c in multilingual
                if band == "all" or (resource_level(c) == band and is_script_seen(c) == seen)
            ]
            if not codes:
                continue
            row_of_band = {
                "text in CC-100": band,
                "script": "" if seen is None else "seen" if seen else "not seen",
                "languages": len(codes),
                "multilingual mAP": mean([multilingual[c] for c in codes]),
                "worst": f"{min(multilingual[c] for c in codes):.3f}",
                "best": f"{max(multilingual[c] for c in codes):.3f}",
            }
            for name in ("fertility", "characters_per_subword"):
                row_of_band[name.replace("_", " ")] = (
                    f"{sum(coverage[c][name] for c in codes) / len(codes):.2f}"
                )
                if len(codes) > 7:
                    rho = spearmanr(
                        [coverage[c][name] for c in codes], [multilingual[c] for c in codes]
                    ).statistic
                    row_of_band[f"rho, {name.replace('_', ' ')}"] = f"{rho:+.2f}"
                else:
                    row_of_band[f"rho, {name.replace('_', ' ')}"] = ""
            rows.append(row_of_band)
    return rows


def transforms(part: str, task: str, *other_tasks: str) -> list[dict]:
    """Return the transforms of one part of the debiasing study on one task."""
    rows = []
    for r in measured("studies/debias.json")["rows"]:
        if r["part"] != part or task not in r["tasks"]:
            continue
        scores = r["tasks"][task]
        row = {"transform": r["transform"]}
        for name, key in (
            ("monolingual", "monolingual"),
            ("cross-lingual", "cross-lingual"),
            ("multilingual", "multilingual"),
        ):
            row[name] = f"{scores[key]:.4f}"
        row["distance"], row["LPR"] = f"{scores['rank_distance']:.0f}", f"{scores['LPR']:.2f}"
        row["intrusion@10"] = f"{scores['intrusion@10']:.3f}"
        for other_task in other_tasks:
            entry = r["tasks"].get(other_task)
            label = {"xquad-paragraphs": "paragraphs", "xquad-paragraphs-en": "English only"}.get(
                other_task, other_task
            )
            row[f"{label}: nDCG@20 / TLR@20"] = (
                f"{entry['nDCG@20']:.3f} / {entry['TLR@20']:.3f}" if entry else ""
            )
        rows.append(row)
    return rows


def unseen() -> list[dict]:
    """Return multilingual mAP on XQuAD-R of languages in and out of the seven-language fits."""
    seven, four = ("ar", "de", "en", "es", "hi", "vi", "zh"), ("el", "ru", "th", "tr")
    rows = {(r["part"], r["transform"]): r for r in measured("studies/debias.json")["rows"]}
    keys = [
        ("methods", "none"),
        ("methods", "LSAR, rank 10"),
        *(k for k in rows if k[0] == "languages"),
        ("methods", "trained transform"),
    ]

    def mean(row: dict, codes: tuple[str, ...]) -> str:
        multilingual = row["tasks"]["xquad-r"]["multilingual by language"]
        return f"{sum(multilingual[c] for c in codes) / len(codes):.3f}"

    return [
        {
            "transform": key[1]
            + (", the eleven" if key[0] == "methods" and key[1] != "none" else ""),
            "monolingual": f"{rows[key]['tasks']['xquad-r']['monolingual']:.4f}",
            "multilingual": f"{rows[key]['tasks']['xquad-r']['multilingual']:.4f}",
            "distance": f"{rows[key]['tasks']['xquad-r']['rank_distance']:.0f}",
            "multilingual, the seven": mean(rows[key], seven),
            "multilingual, the four": mean(rows[key], four),
        }
        for key in keys
    ]


def noise() -> list[dict]:
    """Return mAP of XQuAD-R's queries with noise: the score, and its share of the clean one."""
    rows = []
    for noise_type, scenarios in measured("studies/noise.json")["noise"]["xquad-r"].items():
        for rate in scenarios["multilingual"]["scores"]:
            row = {"noise": noise_type, "rate": f"{float(rate):.0%}"}
            for scenario, v in scenarios.items():
                row[scenario] = f"{v['scores'][rate]:.3f} ({v['ratio'][rate]:.0%})"
            row["slope, monolingual"] = f"{scenarios['monolingual']['slope']:+.3f}"
            rows.append(row)
    return rows


def audit() -> list[dict]:
    """Return the parts of an audit from cached vectors, in seconds."""
    report = measured("benchmarks/report.json")
    ranks = {
        f"ranks by {how}": ", ".join(map(str, t))
        for how, t in report["ranks, seconds of three"].items()
    }
    rows = {**report["seconds"], "in all": report["in all"], **ranks}
    return [{"part": name, "seconds": value} for name, value in rows.items()]


def stores() -> list[dict[str, str]]:
    """Return recall and latency of stores by size."""
    rows = []
    for r in measured("benchmarks/search.json")["rows"]:
        for languages, direct in (("all", "lancedb"), ("one language", "lancedb, index as it is")):
            ms = {
                side: f"{t['p50']:.1f} / {t['p95']:.1f}" for side, t in r["ms"][languages].items()
            }
            rows.append(
                {
                    "store": {"lance": "LanceDB", "milvus": "Milvus"}[r["store"]],
                    "passages": f"{r['passages']:,}",
                    "languages": languages,
                    "recall@100": f"{r['recall'][languages]:.4f}",
                    "ours: p50 / p95 ms": ms["ours"],
                    "numpy: p50 / p95 ms": ms["numpy"],
                    "LanceDB directly": ms.get(direct, ""),
                    "writing, indexes: s": f"{r['seconds']['writing']:.0f}, "
                    f"{r['seconds']['indexes']:.0f}",
                    "MB": f"{r['disk']['MB']:,.0f}" if "disk" in r else "",
                }
            )
    return rows


def filters() -> list[dict[str, str]]:
    """Return latency of filters of many sizes, p50 in milliseconds, and the recall of ours."""
    return [
        {
            "passing, %": str(r["passing, %"]),
            "recall@100": f"{r['recall']['ours']:.4f}",
            **{
                name: f"{r['ms'][side]['p50']:.1f}"
                for name, side in (
                    ("ours", "ours"),
                    ("LanceDB's index", "index"),
                    ("a scan", "scan"),
                )
            },
        }
        for r in measured("benchmarks/filters.json")["rows"]
    ]


def soak() -> list[dict[str, str]]:
    """Return one row on ten minutes without a pause, with the memory at some minutes."""
    result = measured("benchmarks/serve.json")["soak"]
    memory = result["memory, MB"]
    return [
        {
            "minutes": f"{result['seconds'] / 60:.0f}",
            "answers": f"{result['answers']:,}",
            "statuses": ", ".join(f"{status}: {n:,}" for status, n in result["statuses"].items()),
            **{f"MB after {m:g} min": f"{memory[int(2 * m)]:,}" for m in (0.5, 2, 4, 6, 8)},
            "at the end": f"{memory[-1]:,}",
        }
    ]


def fairness() -> list[dict[str, str]]:
    """Return figures of each order of a search, through the index and by exact scores."""
    return [
        {
            "model": model,
            "`--order`": order,
            "multilingual mAP": f"{row['multilingual mAP']:.4f}",
            "exact scores: multilingual mAP": f"{result['exact'][order]['multilingual mAP']:.4f}",
            "rank distance": f"{row['rank distance']:.0f}",
            "exact scores: distance": f"{result['exact'][order]['rank distance']:.0f}",
            "first answer right": f"{row['first answer right']:.3f}",
            "LPR": f"{row['LPR']:.3f}",
        }
        for model, result in measured("studies/search.json").items()
        for order, row in result["index"].items()
    ]


def tables() -> dict[str, dict[str, str]]:
    """Return the tables of each page by name."""
    calls = measured("benchmarks/calls.json")
    return {
        "README.md": {
            "recipe": rows_of(
                [
                    {k: v for k, v in r.items() if k != "task"}
                    for r in trials.recipe()
                    if r["task"] == "xquad-r"
                ]
            ),
            "study": table(),
            "map": rows_of(
                [
                    r
                    for r in transforms("methods", "xquad-r")
                    if r["transform"] in ("none", "LSAR, rank 10", "trained transform")
                ]
            ),
        },
        "docs/data.md": {"publications": rows_of(publications())},
        "docs/decisions.md": {
            "hyperparameters": (ROOT / "studies" / "hyperparameters.md").read_text().strip(),
            "titles": rows_of(titles()),
        },
        "docs/evaluation.md": {
            "sources": rows_of(
                [
                    {
                        "source": f"`{s.name}`",
                        "languages": len(s.languages) if len(s.languages) > 1 else s.languages[0],
                        "what": s.description,
                        "cite": s.citation,
                        "license": s.license,
                    }
                    for s in SOURCES.values()
                ]
            ),
            "instrument": rows_of(instrument()),
            "measures": rows_of(
                [
                    {
                        "measure": m.name,
                        "range": m.range,
                        "says": m.meaning,
                        "misleads": m.caveat,
                        "source": m.source,
                    }
                    for m in ALL.values()
                ]
            ),
            "bias": rows_of(bias()),
            "levels": rows_of(resource_levels()),
            "noise": rows_of(noise()),
        },
        "docs/debiasing.md": {
            "methods": rows_of(
                transforms("methods", "xquad-r", "xquad-paragraphs", "xquad-paragraphs-en")
            ),
            "mlqa": rows_of(
                [
                    {"on": task, **row}
                    for task in ("mlqa-r", "mlqa-held-out")
                    for row in transforms("methods", task)
                ]
            ),
            "vectors": rows_of(transforms("vectors", "xquad-r")),
            "languages": rows_of(unseen()),
            "texts": rows_of(transforms("texts", "xquad-r")),
        },
        "docs/search.md": {
            "stores": rows_of(stores()),
            "filters": rows_of(filters()),
            "soak": rows_of(soak()),
            "fairness": rows_of(fairness()),
            "partitions": rows_of(measured("benchmarks/partitions.json")["rows"]),
            "load": rows_of(
                [
                    {k: v for k, v in r.items() if k != "statuses"}
                    for r in measured("benchmarks/serve.json")["rows"]
                ]
            ),
        },
        "docs/performance.md": {
            "compared": rows_of(speed.compared()),
            "shares": rows_of(speed.shares()),
            "memory": rows_of(speed.memory()),
            "parts": rows_of(speed.parts()),
            "terms": rows_of(measured("benchmarks/terms.json")["rows"]),
            "balance": rows_of(
                measured("benchmarks/balance.json")["fullest process over the mean"]
            ),
            "encoding": rows_of(calls["encoding"]),
            "training": rows_of(calls["training"]),
            "report": rows_of(audit()),
        },
        "docs/findings.md": {"recipe": rows_of(trials.recipe())},
        **{
            f"docs/{page}.md": {name: rows_of(rows) for name, rows in page_tables.items()}
            for page, page_tables in trials.tables().items()
        },
        "docs/scale.md": {
            "measured": rows_of(scale.measured()),
            "encoding": rows_of(scale.encoding()),
            "training": rows_of(scale.training()),
        },
    }


def _between_marks(table: str, match: re.Match[str]) -> str:
    """Return a table between the marks of a match."""
    return f"{match[1]}\n{table}\n{match[2]}"


def renewed(page: str, text: str) -> str:
    """Return a page with its tables written anew."""
    for name, new in tables()[page].items():
        pattern = rf"(<!-- {name} -->).*?(<!-- /{name} -->)"
        text = re.sub(pattern, partial(_between_marks, new), text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for page in tables():
        (ROOT / page).write_text(renewed(page, (ROOT / page).read_text()))
    (ROOT / "docs" / "multilingual.svg").write_text(picture())
    (ROOT / "docs" / "speed.svg").write_text(speed.picture())
    (ROOT / "docs" / "results.html").write_text(shown.page())
    for name, svg in pictures.pictures().items():
        (ROOT / "docs" / name).write_text(svg)
    for page, write in reference.PAGES.items():
        (ROOT / page).write_text(write())
