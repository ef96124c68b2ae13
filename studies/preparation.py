"""Mining on MLQA, and adaptation to Amharic and Khmer, on real data.

    python -m studies.preparation

Writes studies/preparation.json: what was mined and how much of it intrudes; subwords a word before
and after, on the bitext and on held-out sentences (SIB-200 test); retrieval among SIB-200's test
sentences in five languages before and after, with intervals and tests; in which languages the first
ten answers are. Goes on where it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mixling.corpora.files import write_text
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.coverage import count_subwords
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_comparison, task_rows
from mixling.models.retriever import Retriever
from mixling.preparation.mine_negatives import mine_negatives
from mixling.reports.evaluate import evaluate
from mixling.training.adapt_language import adapt_language

MODEL, RUNS = "intfloat/multilingual-e5-small", Path("runs")
TASK = "sib-200:test@en,am,km,ar,th"
LANGUAGES, RELATED = ["am", "km"], {"am": "ar", "km": "th"}
WAYS: dict[str, dict[str, Any]] = {
    "adapted": {"objectives": ("mlm", "tlm", "distil")},
    "distil alone": {"objectives": ("distil",)},
}


def main() -> None:
    """Run, print, write."""
    mined = mine_negatives(MODEL, "mlqa", RUNS / "mlqa-mined")
    one = load_task(TASK)
    base = Retriever(MODEL)
    held_out = {
        x: [
            t
            for t, c in zip(one.passages, one.passage_language, strict=True)
            if one.languages[c] == x
        ]
        for x in LANGUAGES
    }
    measured = {"before": _measured(MODEL, RUNS / "adapt-before")}
    rows = [
        {
            "way": "before",
            **_scores(measured["before"], None),
            "subwords a word": _fertility(base, held_out),
        }
    ]
    facts = {}
    for way, more in WAYS.items():
        out = RUNS / f"adapt-{way.replace(' ', '-')}"
        made = adapt_language(
            MODEL,
            ["sib-200:train", "tico-19:train"],
            LANGUAGES,
            out,
            related=RELATED,
            margin=1.0,
            steps=150,
            **more,
        )
        facts[way] = {
            k: getattr(made, k)
            for k in ("pairs", "kept", "new_subwords", "coverage", "loss", "seconds")
        }
        measured[way] = _measured(str(out / "model"), out / "results")
        rows.append(
            {
                "way": way,
                **_scores(measured[way], measured["before"]),
                "subwords a word": _fertility(Retriever(str(out / "model")), held_out),
            }
        )
    found = {
        "mined": {k: v for k, v in mined.to_dict().items() if k != "encoder"},
        "adapted": facts,
        "task": TASK,
        "rows": rows,
        "first ten": {
            way: {x: r.summary["tasks"][TASK]["multilingual"]["top10_share"][x] for x in LANGUAGES}
            for way, r in measured.items()
        },
        "machine": measured["before"].summary["machine"],
        "versions": measured["before"].summary["versions"],
    }
    write_text(
        Path(__file__).with_suffix(".json"), json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    )
    print(json.dumps(found["rows"], indent=1, ensure_ascii=False))


def _measured(model: str, folder: Path) -> EvaluationResult:
    if not (folder / "summary.json").exists():
        evaluate(model, [TASK], folder, precision="bf16")
    return EvaluationResult.load(folder)


def _fertility(retriever: Retriever, texts: dict[str, list[str]]) -> dict[str, float]:
    return {x: v["fertility"] for x, v in count_subwords(retriever, texts).items()}


def _scores(result: EvaluationResult, before: EvaluationResult | None) -> dict[str, Any]:
    """mAP of each question language in the pool, its difference to before, interval and p."""
    pool = result.summary["tasks"][TASK]["multilingual"]
    found: dict[str, Any] = {
        x: {"multilingual mAP": pool["by_language"][x]["mAP"]}
        for x in (*LANGUAGES, "en", "ar", "th")
    }
    if before is not None:
        first, second = ([task_rows(r.scores, TASK)] for r in (before, result))
        for name, row in task_comparison(first, second, True).items():
            c = row["mAP"]
            setting, _, language = name.partition(" ")
            if setting == "multilingual":
                found[language].update(difference=c.difference, low=c.low, high=c.high, p=c.p_holm)
    return found


if __name__ == "__main__":
    main()
