"""Train with your queries and answers from a table: a row is a pair, with its language.

    python examples/train_with_your_questions.py PAIRS.csv OUT [MODEL] [STEPS]

PAIRS.csv has the columns question, answer, language and group. Rows of one group say the same in
several languages, so a question in one of them may meet the answer in another. Without translations
each batch stays in one language. Add translations with `mixling translate`, or add a source that
has them.
"""

import csv
import sys
from pathlib import Path

import mixling

table, out = sys.argv[1:3]
model = sys.argv[3] if len(sys.argv) > 3 else "intfloat/multilingual-e5-small"
steps = int(sys.argv[4]) if len(sys.argv) > 4 else 100

with Path(table).open(encoding="utf-8", newline="") as file:
    languages: dict[str, set[str]] = {}
    for row in csv.DictReader(file):
        languages.setdefault(row["group"], set()).add(row["language"])
parallel = sum(len(group) > 1 for group in languages.values())
size = 16
strategy = "hybrid" if parallel >= size else "x-x-mono"
print(
    f"{len(languages)} groups, {parallel} of them in two languages or more: {strategy} batches of "
    f"{size}"
)

columns = {"query": "question", "passage": "answer", "language": "language"}
columns |= {"query_group": "group", "passage_group": "group"}
model_folder = mixling.train(
    {
        "data": {"sources": [{"name": "mine", "hub": "csv", "path": table, "columns": columns}]},
        "model": {"name": model},
        "batches": {"strategy": strategy, "size": size},
        "training": {"steps": steps, "freeze_embeddings": True, "average_with_base": 0.2},
    },
    out,
)
print(model_folder)
