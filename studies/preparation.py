"""Measure mining on MLQA and adaptation to Amharic and Khmer.

    python -m studies.preparation

Writes studies/preparation.json: the mined negatives and the share of intruders; subwords a word
before and after, on the bitext and on held-out sentences (SIB-200 test); retrieval among SIB-200's
test sentences in five languages before and after, with intervals and tests; and the languages of
the first ten results. An interrupted run goes on.
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
VARIANTS: dict[str, dict[str, Any]] = {
    "adapted": {"objectives": ("mlm", "tlm", "distil")},
    "distil alone": {"objectives": ("distil",)},
}


def main() -> None:
    """Mine, adapt, measure and write the result."""
    mined = mine_negatives(MODEL, "mlqa", RUNS / "mlqa-mined")
    task = load_task(TASK)
    base = Retriever(MODEL)
    held_out = {
        x: [
            t
            for t, c in zip(task.passages, task.passage_language, strict=True)
            if task.languages[c] == x
        ]
        for x in LANGUAGES
    }
    measured = {"before": _measured(MODEL, RUNS / "adapt-before")}
    rows = [
        {
            "variant": "before",
            **_scores(measured["before"], None),
            "subwords a word": _fertility(base, held_out),
        }
    ]
    facts = {}
    for variant, options in VARIANTS.items():
        out = RUNS / f"adapt-{variant.replace(' ', '-')}"
        report = adapt_language(
            MODEL,
            ["sib-200:train", "tico-19:train"],
            LANGUAGES,
            out,
            related=RELATED,
            margin=1.0,
            steps=150,
            **options,
        )
        facts[variant] = {
            k: getattr(report, k)
            for k in ("pairs", "kept", "new_subwords", "coverage", "loss", "seconds")
        }
        measured[variant] = _measured(str(out / "model"), out / "results")
        rows.append(
            {
                "variant": variant,
                **_scores(measured[variant], measured["before"]),
                "subwords a word": _fertility(Retriever(str(out / "model")), held_out),
            }
        )
    content = {
        "mined": {k: v for k, v in mined.to_dict().items() if k != "encoder"},
        "adapted": facts,
        "task": TASK,
        "rows": rows,
        "first ten": {
            variant: {
                x: r.summary["tasks"][TASK]["multilingual"]["top10_share"][x] for x in LANGUAGES
            }
            for variant, r in measured.items()
        },
        "machine": measured["before"].summary["machine"],
        "versions": measured["before"].summary["versions"],
    }
    write_text(
        Path(__file__).with_suffix(".json"),
        json.dumps(content, indent=1, ensure_ascii=False) + "\n",
    )
    print(json.dumps(content["rows"], indent=1, ensure_ascii=False))


def _measured(model: str, folder: Path) -> EvaluationResult:
    """Measure a model, or load its result."""
    if not (folder / "summary.json").exists():
        evaluate(model, [TASK], folder, precision="bf16")
    return EvaluationResult.load(folder)


def _fertility(retriever: Retriever, texts: dict[str, list[str]]) -> dict[str, float]:
    """Count subwords a word in each language."""
    return {x: v["fertility"] for x, v in count_subwords(retriever, texts).items()}


def _scores(result: EvaluationResult, base: EvaluationResult | None) -> dict[str, Any]:
    """Return multilingual mAP by query language, with the change against `base`."""
    multilingual = result.summary["tasks"][TASK]["multilingual"]
    scores: dict[str, Any] = {
        x: {"multilingual mAP": multilingual["by_language"][x]["mAP"]}
        for x in (*LANGUAGES, "en", "ar", "th")
    }
    if base is not None:
        first, second = ([task_rows(r.scores, TASK)] for r in (base, result))
        for name, row in task_comparison(first, second, True).items():
            comparison = row["mAP"]
            scenario, _, language = name.partition(" ")
            if scenario == "multilingual":
                scores[language].update(
                    difference=comparison.difference,
                    low=comparison.low,
                    high=comparison.high,
                    p=comparison.p_holm,
                )
    return scores


if __name__ == "__main__":
    main()
