"""Make the tables of docs/results/search.md and of its sections in the appendix.

They compare search orders, modes, ways to highlight, and searches without an answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STUDIES = Path(__file__).parent.parent / "studies"
COLLECTIONS = {
    "xquad-r": "XQuAD-R",
    "mlqa-r": "MLQA-R",
    "tydi": "TyDi QA",
    "help-test": "LibreOffice's help",
}
MODELS = {"intfloat/multilingual-e5-small": "e5-small"}
DEFAULT_ORDER = "query-language-first"


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((STUDIES / f"{name}.json").read_text())
    return result


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
        for model, result in _result("search").items()
        for order, row in result["index"].items()
    ]


def orders() -> list[dict[str, str]]:
    """Return figures of each order of a search through the index."""
    return [
        {
            "model": MODELS.get(model, model),
            "`--order`": f"`{order}`",
            "multilingual mAP": f"{row['multilingual mAP']:.3f}",
            "rank distance": f"{row['rank distance']:.0f}",
            "first answer right": f"{row['first answer right']:.3f}",
            "LPR": f"{row['LPR']:.3f}",
        }
        for model, result in _result("search").items()
        for order, row in result["index"].items()
    ]


def order_scores() -> list[dict[str, Any]]:
    """Return multilingual mAP of each model, a row for each order."""
    results = _result("search")
    names = list(next(iter(results.values()))["index"])
    return [
        {
            "model": order,
            **{
                MODELS.get(model, model): result["index"][order]["multilingual mAP"]
                for model, result in results.items()
            },
        }
        for order in names
    ]


def ways(part: str, names: dict[str, str], orders: tuple[str, ...]) -> list[dict[str, str]]:
    """Return figures of ways of searching, a column a collection.

    Args:
        part: "measured on" or "chosen on".
        names: What each collection is called.
        orders: The orders.
    """
    measures = ("monolingual", "multilingual", "rank distance", "first answer right")
    results = _result("search_ways")[part]
    rows = []
    for way in next(iter(results.values()))["ways"]:
        for order in orders:
            row = {"`--mode`" if part == "measured on" else "way": way, "`--order`": order}
            for name, title in names.items():
                values = results[name]["ways"][way][order]
                row[title] = " / ".join(
                    f"{values[x]:.0f}" if x == "rank distance" else f"{values[x]:.3f}"
                    for x in measures
                )
            rows.append(row)
    return rows


def modes() -> list[dict[str, str]]:
    """Return mAP of each mode in the default order, two columns a collection."""
    results = _result("search_ways")["measured on"]
    rows = []
    for mode in ("dense", "text", "both"):
        row = {"`--mode`": f"`{mode}`"}
        for name, title in COLLECTIONS.items():
            values = results[name]["ways"][mode][DEFAULT_ORDER]
            for scenario in ("monolingual", "multilingual"):
                row[f"{title}, {scenario}"] = f"{values[scenario]:.3f}"
        rows.append(row)
    return rows


def sentences() -> list[dict[str, str]]:
    """Return how often each way names the sentence that answers, on the test."""
    names = {
        "each sentence encoded": "a vector of each sentence, encoded by itself",
        "from the passage's pass, int8, and shared terms (2)": "the way of Mixling",
        "shared terms": "shared terms alone",
        "the first": "the first sentence",
    }
    rows = {row["way"]: row for row in _result("highlight")["rows"] if row["set"] == "XQuAD-R"}
    return [
        {
            "sentence chosen by": title,
            "right, same language": f"{rows[way]['right, same language']:.3f}",
            "right, other language": f"{rows[way]['right, other language']:.3f}",
        }
        for way, title in names.items()
    ]


def highlight_cost() -> list[dict[str, str]]:
    """Return what marking sentences costs: time of indexing, bytes, and time of a search."""
    cost = _result("highlight")["cost"]
    indexing, search = cost["seconds of indexing"], cost["ms of a search whose vector is known"]
    return [
        {
            "indexing, times": f"{indexing['with'] / indexing['without']:.2f}",
            "bytes a passage": f"+{cost['bytes a passage more']:,.0f}",
            "search without marks, ms": f"{search['off']:.1f}",
            "search with marks, ms": f"{search['on']:.1f}",
            "encoding the sentences of ten results, ms": f"{search['encoding the sentences']:.0f}",
        }
    ]


def warnings() -> list[dict[str, str]]:
    """Return how well a search says that nothing answers, on the test."""
    searched = {"monolingual": "the query's language", "multilingual": "all languages"}
    return [
        {
            "model": MODELS.get(row["model"], row["model"]),
            "searched": searched[row["setting"]],
            **{name: row[name] for name in ("precision", "recall", "false alarms")},
        }
        for row in nothing_found()
        if row["set"] == "XQuAD-R paragraphs"
    ]


def highlighting() -> list[dict[str, str]]:
    """Return how often each way names the sentence that answers."""
    return [
        {
            "set": row["set"],
            "way": row["way"],
            "right, same language": f"{row['right, same language']:.3f}",
            "right, other language": f"{row['right, other language']:.3f}",
            "agrees, same language": f"{row['agrees, same language']:.3f}",
            "agrees, other language": f"{row['agrees, other language']:.3f}",
        }
        for row in _result("highlight")["rows"]
    ]


def highlighting_by_language() -> list[dict[str, str]]:
    """Return how often the chosen way and the one before are right, by the passage's language."""
    rows = [row for row in _result("highlight")["rows"] if row["set"] == "XQuAD-R"]
    return [
        {
            "way": row["way"],
            **{k: f"{v:.3f}" for k, v in row["right by passage language"].items()},
        }
        for row in rows
        if "shared terms (" in row["way"] or row["way"] == "each sentence encoded"
    ]


def reranking() -> list[dict[str, str]]:
    """Return figures of rerankers by the order of their candidates and of the search."""
    rows = []
    for row in _result("rerank")["test"]["rows"]:
        rows.append(
            {
                "reranker": row["reranker"],
                "candidates by": f"`{row['candidates']}`" if row["candidates"] else "",
                "`--order`": f"`{row['order']}`",
                "monolingual mAP": f"{row['monolingual mAP']:.3f}",
                "multilingual mAP": f"{row['multilingual mAP']:.3f}",
                "first answer right": f"{row['first right']:.3f}",
                "query's language in the first ten": f"{row['own share of ten']:.0%}",
            }
        )
    return rows


def reranker_offsets() -> list[dict[str, str]]:
    """Return multilingual mAP of ways to estimate a reranker's language offsets, in development."""
    rows: dict[str, dict[str, str]] = {}
    for row in _result("rerank")["development"]["rows"]:
        entry = rows.setdefault(row["offsets"], {"offsets": row["offsets"]})
        entry[row["reranker"]] = f"{row['multilingual mAP']:.3f}"
    return list(rows.values())


def nothing_found() -> list[dict[str, str]]:
    """Return how well a search says that nothing answers."""
    return [
        {
            "set": row["set"],
            "model": {"balanced": "the shipped transform"}.get(row["model"], row["model"]),
            "setting": row["setting"],
            "standard score below": f"{row['threshold']:g}",
            "precision": f"{row['precision']:.2f}",
            "recall": f"{row['recall']:.2f}",
            "false alarms": f"{row['false alarms']:.2f}",
            "AUC": f"{row['AUC']:.2f}",
        }
        for row in _result("nothing_found")["rows"]
    ]
