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

from docs import (
    adapter_ranks,
    answers,
    charts,
    collections,
    compression,
    diagrams,
    encoders,
    help_desk,
    hubs,
    long_run,
    low_resource,
    pictures,
    reference,
    repairs,
    same_language,
    scale,
    seeds,
    speed,
    summaries,
    trials,
)
from mixling.corpora.catalog import SOURCES
from mixling.corpora.resources import LEVEL_ORDER, is_script_seen, resource_level
from mixling.evaluation.bias.table import ALL
from mixling.reports.figures import bars
from mixling.studies.table import markdown

ROOT = Path(__file__).parent.parent
FOUR = ("monolingual", "cross-lingual", "multilingual", "rank distance")


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
        for packages in source.packages:
            name, *others = packages.names(None)
            package, _, version = name.partition("@")
            place = f"{packages.manager}, {package}"
            more = f" and {len(others)} more" if others else ""
            pinned = f"version `{version}`" if version else "the release of the system"
            rows.append((source.name, f"{place}{more}", pinned))
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


def doors() -> list[dict[str, str]]:
    """Return the second encoder's figures through each door."""
    result = measured("studies/second-encoder.json")
    return [
        {
            "door": name,
            **{name: f"{row[name]:.6f}" for name in FOUR[:3]},
            "distance": f"{row['rank distance']:.3f}",
            "figures compared": str(row["figures"]),
            "largest difference": f"{row['largest difference']:.1g}",
        }
        for name, row in result["doors"].items()
    ]


def runs() -> list[dict[str, str]]:
    """Return what TREC runs of the second encoder tell, against its vectors."""
    return [
        {
            "run": name,
            "queries in": row["task"].partition("@")[2].replace(",", " "),
            "figures": str(row["figures"]),
            "equal to the last digit": str(row["equal"]),
            "others": ", ".join(
                f"{k.partition(' ')[2]} {a:.6g} / {b:.6g}" for k, (a, b) in row["unequal"].items()
            )
            or "–",
            "left out": ", ".join(row["left out"]) or "–",
        }
        for name, row in measured("studies/second-encoder.json")["runs"].items()
    ]


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
    """Return a row on each long run without a pause, with the memory at some minutes."""
    results = measured("benchmarks/serve.json")
    rows = []
    for key in ("soak before", "soak"):
        result = results[key]
        memory = result["memory, MB"]  # every half minute
        rows.append(
            {
                "kernels of a cache": f"{int(result['kernels']['LRU_CACHE_CAPACITY']):,}",
                "answers": f"{result['answers']:,}",
                "statuses": ", ".join(f"{x}: {n:,}" for x, n in result["statuses"].items()),
                **{
                    f"MB after {m:g} min": f"{memory[int(2 * m)]:,}" if 2 * m < len(memory) else ""
                    for m in (0.5, 2, 5, 10, 15, 20, 25)
                },
                "at the end": f"{memory[-1]:,}",
            }
        )
    return rows


def load() -> list[dict[str, str]]:
    """Return the load of the search server."""
    rows = []
    for r in measured("benchmarks/serve.json")["rows"]:
        endpoint, _, order = r["endpoint"].partition(", ")
        order = {"none": "score"}.get(order, order)  # the order's name when it was measured
        rows.append(
            {
                "endpoint": endpoint,
                "order": order,
                **{k: v for k, v in r.items() if k not in ("endpoint", "statuses")},
            }
        )
    return rows


def proxied() -> list[dict]:
    """Return the latency of an upstream, direct and through the proxy."""
    return [
        {
            "form": r["form"],
            "upstream, ms": r["upstream ms"],
            "clients": r["clients"],
            "p50 direct, ms": r["p50 ms, direct"],
            "p50 added, ms": r["p50 ms, added"],
            "p99 direct, ms": r["p99 ms, direct"],
            "p99 added, ms": r["p99 ms, added"],
            "answers a second through the proxy": r["answers a second, proxy"],
        }
        for r in measured("benchmarks/proxy.json")["rows"]
    ]


def predicted_gains() -> list[dict[str, str]]:
    """Return the verdicts of audits, with predicted gains and those measured with judgments."""
    rows = []
    for r in measured("studies/audit.json")["rows"]:
        v, gains = r["verdict"], {k: x["gain"] for k, x in r["measured"].items()}
        best = max((k for k in gains if k != "zero-shot"), key=lambda k: gains[k][0])
        key = v["candidate"] or best
        predicted = r["predicted"].get(key)
        rows.append(
            {
                "collection": r["collection"],
                "encoder": r["model"].split("/")[-1],
                "languages": len(r["languages"]),
                "passages": f"{r['audited']:,}",
                "log": r["log"],
                "verdict": v["decision"],
                "candidate": v["candidate"] or f"(best: {best})",
                "predicted": f"{predicted[0]:+.3f}" if predicted else "",
                "interval": f"{predicted[1]:+.3f} to {predicted[2]:+.3f}" if predicted else "",
                "measured": f"{gains[key][0]:+.3f}",
                "mAP before": f"{r['measured']['zero-shot']['multilingual_mAP']:.3f}",
                "mAP after": f"{r['measured'][key]['multilingual_mAP']:.3f}",
                "s": f"{r['seconds_with_vectors']:.0f}",
            }
        )
    return rows


def tables() -> dict[str, dict[str, str]]:
    """Return the tables of each page by name."""
    calls = measured("benchmarks/calls.json")
    return {
        "docs/guides/collection.md": {
            **{name: rows_of(rows) for name, rows in collections.tables().items() if rows},
            "repair-auto": rows_of(repairs.of_stores()),
        },
        "docs/guides/repair.md": {"repair": rows_of(repairs.rows())},
        adapter_ranks.PAGE: {"adapter ranks": rows_of(adapter_ranks.rows())},
        "docs/guides/data.md": {"publications": rows_of(publications())},
        "docs/development/decisions.md": {
            "reranker offsets": rows_of(answers.reranker_offsets()),
            "hyperparameters": (ROOT / "studies" / "hyperparameters.md").read_text().strip(),
            "titles": rows_of(titles()),
        },
        "docs/guides/evaluation.md": {
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
            "doors": rows_of(doors()),
            "runs": rows_of(runs()),
        },
        "docs/guides/debiasing.md": {
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
        "docs/guides/audit.md": {
            "audit": rows_of(predicted_gains()),
            "size": rows_of(measured("benchmarks/audit.json")["rows"]),
        },
        "docs/guides/proxy.md": {"proxy": rows_of(proxied())},
        "docs/results/search.md": {
            "reranking": rows_of(answers.reranking()),
            "orders": rows_of(answers.orders()),
            "modes, short": rows_of(answers.modes()),
            "sentences": rows_of(answers.sentences()),
            "highlight cost": rows_of(answers.highlight_cost()),
            "warnings": rows_of(answers.warnings()),
        },
        "docs/development/stores.md": {
            "stores": rows_of(stores()),
            "filters": rows_of(filters()),
            "partitions": rows_of(measured("benchmarks/partitions.json")["rows"]),
            "kills": rows_of([measured("benchmarks/kills.json")["summary"]]),
            "load": rows_of(load()),
            "soak": rows_of(soak()),
        },
        "docs/development/performance.md": {
            "compared": rows_of(speed.compared()),
            "shares": rows_of(speed.shares()),
            "memory": rows_of(speed.memory()),
            "parts": rows_of(speed.parts()),
            "allocators": rows_of(speed.allocators()),
            "terms": rows_of(measured("benchmarks/terms.json")["rows"]),
            "contention": rows_of(speed.contention()),
            "served": rows_of(speed.served()),
            "start": rows_of(speed.start()),
            "balance": rows_of(
                measured("benchmarks/balance.json")["fullest process over the mean"]
            ),
            "encoding": rows_of(calls["encoding"]),
            "training": rows_of(speed.training_calls()),
            "report": rows_of(audit()),
        },
        **{
            page: {name: rows_of(rows) for name, rows in page_tables.items()}
            for page, page_tables in summaries.tables().items()
        },
        low_resource.PAGE: {name: rows_of(rows) for name, rows in low_resource.tables().items()},
        **{
            f"docs/{page}.md": {name: rows_of(rows) for name, rows in page_tables.items()}
            for page, page_tables in trials.tables().items()
        },
        compression.PAGE: {
            **compression.texts(),
            **{name: rows_of(rows) for name, rows in compression.tables().items()},
        },
        hubs.PAGE: {name: rows_of(rows) for name, rows in hubs.tables().items()},
        help_desk.PAGE: {name: rows_of(rows) for name, rows in help_desk.tables().items()},
        encoders.PAGE: {name: rows_of(rows) for name, rows in encoders.tables().items()},
        seeds.PAGE: {name: rows_of(rows) for name, rows in seeds.tables().items()},
        long_run.PAGE: {name: rows_of(rows) for name, rows in long_run.tables().items()},
        low_resource.SEARCH: {
            name: rows_of(rows) for name, rows in low_resource.search_tables().items()
        },
        "docs/results/same-language.md": {
            name: rows_of(rows) for name, rows in same_language.tables().items()
        },
        "docs/results/appendix.md": {
            "study": table(),
            "recipe": rows_of(trials.recipe()),
            "bias": rows_of(bias()),
            "instrument": rows_of(instrument()),
            "levels": rows_of(resource_levels()),
            "noise of XQuAD-R": rows_of(noise()),
            **{name: rows_of(rows) for name, rows in trials.tables()["results/appendix"].items()},
            "fairness": rows_of(answers.fairness()),
            "modes": rows_of(
                answers.ways(
                    "measured on",
                    answers.COLLECTIONS,
                    ("query-language-first", "centered", "round-robin", "score"),
                )
            ),
            "ways": rows_of(
                answers.ways(
                    "chosen on",
                    {"mlqa-held-out": "MLQA, held out", "help-dev": "LibreOffice's help"},
                    ("query-language-first", "round-robin"),
                )
            ),
            "highlighting": rows_of(answers.highlighting()),
            "highlighting by language": rows_of(answers.highlighting_by_language()),
            "nothing found": rows_of(answers.nothing_found()),
            **{name: rows_of(rows) for name, rows in same_language.appendix().items()},
        },
        "docs/guides/scale.md": {
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


def drawings() -> dict[str, str]:
    """Return every picture and the page of charts, by their path below docs/."""
    return {
        "images/multilingual.svg": picture(),
        "images/speed.svg": speed.picture(),
        "results/charts.html": charts.page(),
        **pictures.pictures(),
        **diagrams.pictures(),
        **summaries.pictures(),
        **compression.pictures(),
        **help_desk.pictures(),
        **hubs.pictures(),
        **encoders.pictures(),
        **same_language.pictures(),
        **seeds.pictures(),
        **low_resource.pictures(),
        **low_resource.search_pictures(),
        **long_run.pictures(),
    }


if __name__ == "__main__":
    for page in tables():
        (ROOT / page).write_text(renewed(page, (ROOT / page).read_text()))
    for name, content in drawings().items():
        (ROOT / "docs" / name).write_text(content)
    for page, write in reference.PAGES.items():
        (ROOT / page).write_text(write())
