"""The model card of a trained retriever: what it came from, on what it was trained, how, under which licence."""

from __future__ import annotations

import json
from typing import Any

_CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
base_model: {base}
{license}language:
{languages}
tags:
- mixling
- sentence-transformers
- feature-extraction
---
# {base}, trained with {strategy} batches

A multilingual retriever: ask in one language, find the answer in any. Trained by
Mixling {version} from `{base}` as arXiv:2408.10536 describes; the licence is the base model's, the data sets have
their own. Measure it with `mixling evaluate FOLDER --task xquad-r`.

```python
from sentence_transformers import SentenceTransformer
model = SentenceTransformer("path/to/this/folder")
questions = model.encode_query(["Where do cranes spend the winter?"])
passages = model.encode_document(["…"])
```

| what | how |
|---|---|
| strategy | {strategy}, {size} pairs a batch, {steps} steps |
| objective | {objective}, temperature {temperature} |
| averaged with the base | {average} |
{result}| plan of the batches (SHA-256) | `{plan}` |
{data}

## Configuration
```json
{config}
```
"""


def card(run: dict[str, Any]) -> str:
    """Markdown with a YAML head, from the facts of a run (run.json)."""
    c = run["config"]
    languages = sorted({x for d in run["data"].values() for x in d["languages"]})
    b = c["batches"]
    strategy = f"hybrid({b['alpha']:g})" if b["strategy"] == "hybrid" else b["strategy"]
    rows = [
        f"| data: {name} | {d['questions']} questions, {d['passages']} passages, SHA-256 `{d['sha256'][:16]}` |"
        for name, d in run["data"].items()
    ]
    return _CARD.format(
        base=c["model"]["name"],
        languages="\n".join(f"- {x}" for x in languages),
        strategy=strategy,
        version=run["versions"]["mixling"],
        size=b["size"],
        steps=run["steps"],
        objective=c["objective"]["name"],
        temperature=c["objective"]["temperature"],
        average=c["training"]["average_with_base"] or "no",
        plan=run["plan"],
        license=f"license: {run['license'].lower()}\n" if run.get("license") else "",
        result=_result(run.get("best")),
        data="\n".join(rows),
        config=json.dumps(c, indent=1, ensure_ascii=False),
    )


def _result(best: dict[str, Any] | None) -> str:
    if not best:
        return ""
    return f"| validation, {best['task']} | {best['metric']} {best['value']:.4f} at step {best['step']} |\n"
