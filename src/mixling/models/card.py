"""Model cards as the hub takes them: what a model came from, on what it was trained or fitted, how, under which license."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_TRAINED = """# {base}, trained with {strategy} batches

A multilingual retriever: ask in one language, find the answer in any. Trained by
Mixling {version} from `{base}` as arXiv:2408.10536 describes; the license is the base model's, the data sets have
their own. Measure it with `mixling evaluate FOLDER --task xquad-r`.

{usage}
| what | how |
|---|---|
{rows}

## Configuration

```json
{config}
```
"""
_DEBIASED = """# {base}, debiased

A multilingual retriever whose vectors have less of the language in them: ask in one language, find the answer in any. The encoder
is `{base}` as it was; behind it stands one map, fitted by Mixling {version} (`mixling debias`). {use}

| what | how |
|---|---|
{rows}
"""
_USAGE = """```python
from sentence_transformers import SentenceTransformer
model = SentenceTransformer("path/to/this/folder")
questions = model.encode_query(["Where do cranes spend the winter?"])
passages = model.encode_document(["…"])
```
"""


def card_header(base: str, languages: Iterable[str], license: str | None = None) -> str:
    """The YAML before a card. base: a folder's name is not told, a hub's is; languages: BCP-47."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        language=sorted({x.partition("-")[0] for x in languages}) or None,
        license=license.lower() if license else None,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        base_model=base if _on_hub(base) else None,
        tags=["mixling", "sentence-transformers", "feature-extraction"],
    )
    return f"---\n{data.to_yaml()}\n---\n\n"


def display_name(base: str) -> str:
    """A model's name for people: a folder's without the way to it."""
    return base if _on_hub(base) else Path(base).name


def trained_card(run: dict[str, Any]) -> str:
    """The card of a trained retriever, from the facts of its run (run.json)."""
    c = run["config"]
    base, runs = c["model"]["name"], run.get("runs") or [run]
    rows = [
        *(
            x
            for n, r in enumerate(runs, 1)
            for x in _run_rows(r, f", run {n} of {len(runs)}, averaged" if len(runs) > 1 else "")
        ),
        f"| averaged with the base | {c['training']['average_with_base'] or 'no'} |",
        *(
            f"| data: {name} | {d['queries']} queries, {d['passages']} passages, SHA-256 `{d['sha256'][:16]}` |"
            for name, d in run["data"].items()
        ),
    ]
    languages = {x for d in run["data"].values() for x in d["languages"]}
    return card_header(base, languages, run.get("license")) + _TRAINED.format(
        base=display_name(base),
        strategy=" and ".join(_strategy(r) for r in runs),
        version=run["versions"]["mixling"],
        usage=_USAGE,
        rows="\n".join(rows),
        config=json.dumps(_without_paths(c), indent=1, ensure_ascii=False),
    )


def debiased_card(
    made: dict[str, Any], version: str, license: str | None, by_language: bool
) -> str:
    """The card of a model with a map, from what `mixling debias` did. by_language: the map needs each text's language."""
    use = (
        "It needs each text's language: load it with `mixling.Retriever`, which names or takes it."
        if by_language
        else "It loads in sentence-transformers as it is:\n\n" + _USAGE
    )
    rows = [
        f"| {k} | {', '.join(v) if isinstance(v, list) else v} |"
        for k, v in _without_paths(made).items()
        if k != "model"
    ]
    base = made["model"]
    return card_header(base, made["languages"], license) + _DEBIASED.format(
        base=display_name(base), version=version, use=use, rows="\n".join(rows)
    )


def adapted_card(facts: dict[str, Any], license: str | None) -> str:
    """The card of an adapted model, from the facts of its run (run.json)."""
    base = facts["model"]
    return card_header(base, {*facts["languages"], facts["pivot"]}, license) + (
        f"# {display_name(base)}, adapted to {', '.join(facts['languages'])}\n\nMade by `mixling adapt-language` from bitext "
        f"({', '.join(facts['bitext'])}): {facts['new_subwords']} new subwords, {facts['steps']} steps of "
        f"{', '.join(facts['objectives'])}. The folder loads in sentence-transformers and transformers as it is.\n\n{_USAGE}"
    )


def _on_hub(name: str) -> bool:
    return bool(re.fullmatch(r"[\w.-]+/[\w.-]+", name)) and not Path(name).exists()


def _without_paths(value: Any) -> Any:
    """A configuration with folders of a machine by their names alone."""
    if isinstance(value, dict):
        return {k: _without_paths(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_paths(v) for v in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _strategy(run: dict[str, Any]) -> str:
    b = run["config"]["batches"]
    return f"hybrid({b['alpha']:g})" if b["strategy"] == "hybrid" else b["strategy"]


def _run_rows(run: dict[str, Any], which: str) -> list[str]:
    """What was done in a run. which: of several, which one."""
    c, best = run["config"], run.get("best")
    found = [
        f"| strategy{which} | {_strategy(run)}, {c['batches']['size']} pairs a batch, {run['steps']} steps |",
        f"| objective | {c['objective']['name']}, temperature {c['objective']['temperature']} |",
        f"| plan of the batches (SHA-256) | `{run['plan']}` |",
    ]
    if best:
        found.append(
            f"| validation, {best['task']} | {best['metric']} {best['value']:.4f} at step {best['step']} |"
        )
    return found
