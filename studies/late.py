"""Both forms of OPTICAL's student, with the documents as the teacher encoded them, beside the
teacher.

    mixling study studies/optical.toml --keep-models && python -m studies.late

Writes studies/late.json. One vector a text, and late interaction (MaxSim over token vectors); the
student asks, the teacher's vectors of the documents stay. The teacher is e5-small, which was never
trained for late interaction.
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
    """Measure, print, write."""
    rows = []
    for form, prefix in (("one vector", ""), ("late interaction", "late:")):
        before: EvaluationResult | None = None
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
            rows += [row(form, name, task, result, before) for task in TASKS]
            before = result
    found: dict[str, Any] = {
        "rows": rows,
        **{k: result.summary[k] for k in ("machine", "versions")},
    }
    write_text(
        Path(__file__).with_suffix(".json"), json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    )
    print(json.dumps(rows, indent=1))


def row(
    form: str, name: str, task: str, result: EvaluationResult, before: EvaluationResult | None
) -> dict[str, Any]:
    """mAP of questions in the other languages among the English documents, and in the pool; with
    differences to the teacher in the same form."""
    found: dict[str, Any] = {"task": task, "form": form, "asks": name}
    scores = [None if r is None else task_rows(r.scores, task) for r in (before, result)]
    for what, setting, keep in (
        ("to English", "cross-lingual", "en"),
        ("multilingual", "multilingual", ""),
    ):
        first, second = (
            None
            if s is None
            else s.filter(pc.equal(pc.cast(s["passage_language"], pa.string()), keep))
            for s in scores
        )
        c = task_comparison([second if first is None else first], [second])[setting]["mAP"]
        found[what] = {"mAP": c.second}
        if first is not None:
            found[what].update(difference=c.difference, low=c.low, high=c.high, p=c.p_holm)
    return found


if __name__ == "__main__":
    main()
