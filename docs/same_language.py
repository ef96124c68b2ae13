"""Make docs/results/same-language.md's tables and charts, and those of its appendix."""

from __future__ import annotations

from typing import Any

from docs import summaries, trials

Row = dict[str, Any]
E5 = "intfloat/multilingual-e5-small"
VENDOR_CASE, HELP = "XQuAD de en es, balanced", "LibreOffice's help, half English"
ZERO_SHOT, SOLD = "zero-shot", "SHIFT, alpha 1, queries too"
RECALLS = {
    "recall": "all answers",
    "same": "query's language",
    "other": "other languages",
}
PRECISIONS = ("monolingual mAP", "multilingual mAP")
NAMES = {"trained transform": "the trained transform"}
# columns of the tables by collection
SHOWN = {
    ZERO_SHOT: "zero-shot",
    "SHIFT, alpha 1": "SHIFT, alpha 1",
    SOLD: "SHIFT as sold",
    "LSAR": "LSAR",
    "trained transform": "trained transform",
    "order centered": "`centered`",
    "order round-robin": "`round-robin`",
    "order query-language-first": "`query-language-first`",
}


def _sets() -> dict[tuple[str, str], dict[str, Row]]:
    """Return the rows of each encoder and collection, by method."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in trials.study_result("same-language")["rows"]:
        found.setdefault((row["encoder"], row["collection"]), {})[row["method"]] = row
    return found


def _short(encoder: str) -> str:
    return encoder.rpartition("/")[2].removeprefix("multilingual-")


def _marked(row: Row, name: str) -> str:
    """Return a figure, with + or − where it differs from zero-shot (Holm)."""
    text = f"{row['figures'][name][0]:.3f}"
    test = row.get("from zero-shot", {}).get(name)
    if test is None or test["p_holm"] >= trials.SIGNIFICANT:
        return text
    return f"{text} {'+' if test['difference'] > 0 else '−'}"


def _cited(data: str) -> list[Row]:
    """Return the vendor's own figures of a set."""
    return [
        {
            "method": f"*cited*: {row['method']}",
            **{title: f"{row[name]:.3f}" for name, title in RECALLS.items()},
            **dict.fromkeys(PRECISIONS, ""),
        }
        for row in trials.study_result("published")["recall@10"]
        if row["data"] == data
    ]


def methods(collection: str, encoder: str = E5) -> list[Row]:
    """Return the figures of every method on a collection."""
    return [
        {
            "method": NAMES.get(name, name),
            **{title: _marked(row, key) for key, title in RECALLS.items()},
            **{key: _marked(row, key) for key in PRECISIONS},
        }
        for name, row in _sets()[encoder, collection].items()
    ]


def by_collection(figure: str) -> list[Row]:
    """Return one figure of each method, a row for each encoder and collection."""
    return [
        {
            "encoder": _short(encoder),
            "collection": collection,
            **{
                title: _marked(rows[name], figure) if name in rows else ""
                for name, title in SHOWN.items()
            },
        }
        for (encoder, collection), rows in _sets().items()
    ]


def duels() -> list[Row]:
    """Return how transforms differ from SHIFT as it is sold."""
    found = []
    for (encoder, collection), rows in _sets().items():
        for name in ("LSAR", "trained transform", "order centered", "order round-robin"):
            tests = rows[name]["from the vendor's SHIFT"]
            found.append(
                {
                    "encoder": _short(encoder),
                    "collection": collection,
                    "method": NAMES.get(name, name),
                    **{
                        title: trials.change({**tests[key], "p": tests[key]["p_holm"]}, 3)
                        for key, title in RECALLS.items()
                    },
                }
            )
    return found


def by_query_language(collection: str = HELP, encoder: str = E5) -> list[Row]:
    """Return the recall in the query's language, by query language."""
    rows = _sets()[encoder, collection]
    return [
        {
            "method": title.replace("`", ""),
            **{x: f"{v:.3f}" for x, v in rows[name]["by query language"]["same"].items()},
        }
        for name, title in SHOWN.items()
    ]


def missing() -> list[Row]:
    """Return the recall of German queries where no passage is German."""
    return [
        {
            "encoder": _short(encoder),
            "collection": collection,
            **{
                title: f"{rows[name]['by query language']['other']['de']:.3f}"
                for name, title in SHOWN.items()
            },
        }
        for (encoder, collection), rows in _sets().items()
        if "no German" in collection
    ]


def pools() -> list[Row]:
    """Return what stands in each pool."""
    return [
        {
            "encoder": _short(encoder),
            "collection": collection,
            "passages": f"{entry['passages']:,}",
            "English": f"{entry['passages by language']['en'] / entry['passages']:.0%}",
            "queries": f"{entry['queries']:,}",
            "answered in both": f"{entry['answers in both']:,}",
            "in their language alone": f"{entry['answers in the same language alone']:,}",
            "in others alone": f"{entry['answers in other languages alone']:,}",
            "answers a query, mean / most": f"{entry['answers, mean']:.1f} / "
            f"{entry['answers, most']}",
            "highest recall": f"{entry['highest recall']:.3f}",
        }
        for name, entry in trials.study_result("same-language")["collections"].items()
        for encoder, _, collection in (name.partition(", "),)
    ]


def help_pool() -> list[Row]:
    """Return the passages and queries of the help desk by language."""
    entry = trials.study_result("same-language")["collections"][f"{E5}, {HELP}"]
    codes = sorted(entry["passages by language"], key=lambda x: -entry["passages by language"][x])
    return [
        {"": what, **{x: entry[f"{what} by language"][x] for x in codes}}
        for what in ("passages", "queries")
    ]


def alphas() -> list[Row]:
    """Return the mean of multilingual mAP on the development tasks, by alpha."""
    found = []
    for encoder, entry in trials.study_result("same-language")["development"].items():
        for side in ("passages", "queries too"):
            row = {"encoder": _short(encoder), "moved": side}
            for alpha, tasks in entry[side].items():
                text = f"{tasks['mean']:.3f}"
                chosen = float(alpha) == entry["chosen"][side]
                row[alpha] = f"**{text}**" if chosen else text
            found.append(row)
    return found


def tables() -> dict[str, list[Row]]:
    """Return the tables of the page."""
    return {
        "same language, vendor": [*methods(VENDOR_CASE), *_cited("XQuAD de en es")],
        "same language, help": methods(HELP),
        "same language, by query language": by_query_language(),
        "same language, same": by_collection("same"),
        "same language, other": by_collection("other"),
        "same language, missing": missing(),
        "same language, pools": pools(),
        "same language, help pool": help_pool(),
        "same language, alphas": alphas(),
    }


def appendix() -> dict[str, list[Row]]:
    """Return the tables of the appendix."""
    return {"same language, all": by_collection("recall"), "same language, duels": duels()}


def pictures() -> dict[str, str]:
    """Return the charts, by their path below docs/."""
    charts = {}
    for name, collection in (("xquad", VENDOR_CASE), ("help", HELP)):
        rows = [
            {
                "model": NAMES.get(method, method),
                **{title: row["figures"][key][0] for key, title in RECALLS.items()},
            }
            for method, row in _sets()[E5, collection].items()
        ]
        title = f"recall@10 by the language of the answers: {collection}"
        charts[f"images/results-same-language-{name}.svg"] = summaries.dots(
            rows, tuple(RECALLS.values()), title, "recall@10"
        )
    return charts
