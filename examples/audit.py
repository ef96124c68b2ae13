"""Audit a model for language bias, beside baselines, on a task of yours or a benchmark.

    python examples/audit.py MODEL [TASK [BASELINE ...]]

MODEL is a sentence-transformers folder or hub name. TASK is `sample`, a benchmark (`mixling data
list`), or a folder in BEIR's form with a `language` in every row. BASELINE names models, or bm25;
the others are tested against the first. audit/report.html has the comparison,
audit/NAME/report.html the full report of one model.
"""

import sys

from mixling.reports.evaluate import evaluate_all

model, task, *baselines = [*sys.argv[1:], *["sample"][len(sys.argv) - 2 :]]
baselines = baselines or ["intfloat/multilingual-e5-small", "bm25"]

for result in evaluate_all([*baselines, model], [task], "audit", vector_cache="audit/vectors"):
    (entry,) = result.summary["tasks"].values()
    monolingual, multilingual = entry["monolingual"]["mAP"], entry["multilingual"]["mAP"]
    intruders = entry["bias"]["intrusion@10"]
    print(
        f"{result.summary['model']}: monolingual {monolingual:.3f}, multilingual "
        f"{multilingual:.3f}, intruders in the first ten {intruders:.0%}"
    )
print("audit/report.html")
