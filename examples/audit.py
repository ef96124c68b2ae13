"""What a model of yours does with languages, beside the usual yardsticks, on a task of yours or a
benchmark.

    python examples/audit.py MODEL [TASK [YARDSTICK …]]

MODEL: a sentence-transformers folder or hub name. TASK: `sample`, a benchmark (`mixling data
list`), or a folder in BEIR's form with a `language` on every row. YARDSTICK: models, or bm25; the
first is what the others are tested against. audit/report.html has the comparison,
audit/NAME/report.html everything about one.
"""

import sys

from mixling.reports.evaluate import evaluate_all

model, task, *yardsticks = [*sys.argv[1:], *["sample"][len(sys.argv) - 2 :]]
yardsticks = yardsticks or ["intfloat/multilingual-e5-small", "bm25"]

for result in evaluate_all([*yardsticks, model], [task], "audit", vector_cache="audit/vectors"):
    (entry,) = result.summary["tasks"].values()
    own, pool, wrong = (
        entry["monolingual"]["mAP"],
        entry["pool"]["mAP"],
        entry["bias"]["intrusion@10"],
    )
    print(
        f"{result.summary['model']}: own language {own:.3f}, pool {pool:.3f}, intruders in the "
        f"first ten {wrong:.0%}"
    )
print("audit/report.html")
