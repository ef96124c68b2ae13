"""Measure OPTICAL's student with one vector a text and with late interaction (MaxSim).

    mixling study studies/optical.toml --keep-models && python -m studies.late

The student encodes the queries; the documents keep the teacher's vectors. The teacher is e5-small,
which was never trained for late interaction. Writes studies/late.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mixling.corpora.files import write_text
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_comparison, task_rows
from mixling.reports.evaluate import evaluate

TEACHER, RUNS = "intfloat/multilingual-e5-small", Path("runs/optical")
TASKS = ["sib-200:test@en,am,km,so,sw,ha,yo"]


def main() -> None:
    """Measure, print and write the result."""
    rows = []
    for form, prefix in (("one vector", ""), ("late interaction", "late:")):
        teacher: EvaluationResult | None = None
        for name, model in (
            ("teacher", TEACHER),
            ("student", str(RUNS / "optical-0" / "run" / "model")),
        ):
            folder = RUNS / f"{form.replace(' ', '-')}-{name}"
            if not (folder / "summary.json").exists():
                evaluate(
                    prefix + model,
                    TASKS,
                    folder,
                    precision="bf16",
                    passage_model=None if name == "teacher" else TEACHER,
                )
            result = EvaluationResult.load(folder)
            rows += [row(form, name, task, result, teacher) for task in TASKS]
            teacher = result
    content: dict[str, Any] = {
        "rows": rows,
        **{k: result.summary[k] for k in ("machine", "versions")},
    }
    write_text(
        Path(__file__).with_suffix(".json"),
        json.dumps(content, indent=1, ensure_ascii=False) + "\n",
    )
    print(json.dumps(rows, indent=1))


def row(
    form: str, name: str, task: str, result: EvaluationResult, teacher: EvaluationResult | None
) -> dict[str, Any]:
    """Return mAP among the English documents and in the multilingual scenario.

    A student's row also has the difference to the teacher in the same form.
    """
    entry: dict[str, Any] = {"task": task, "form": form, "asks": name}
    scores = [None if r is None else task_rows(r.scores, task) for r in (teacher, result)]
    for column, scenario, passage_language in (
        ("to English", "cross-lingual", "en"),
        ("multilingual", "multilingual", ""),
    ):
        first, second = (
            None
            if table is None
            else table.filter(
                pc.equal(pc.cast(table["passage_language"], pa.string()), passage_language)
            )
            for table in scores
        )
        comparison = task_comparison([second if first is None else first], [second])[scenario][
            "mAP"
        ]
        entry[column] = {"mAP": comparison.second}
        if first is not None:
            entry[column].update(
                difference=comparison.difference,
                low=comparison.low,
                high=comparison.high,
                p=comparison.p_holm,
            )
    return entry


if __name__ == "__main__":
    main()
