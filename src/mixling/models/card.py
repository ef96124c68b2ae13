"""Model cards in the form of the Hugging Face hub: base model, data, method and license."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_TRAINED = """# {base}, trained with {strategy} batches

A multilingual retriever: ask in one language, find the answer in any. Mixling {version} trained it
from `{base}` as arXiv:2408.10536 describes. The license is that of the base model; the data sets
have licenses of their own. Measure it with `mixling evaluate FOLDER --task xquad-r`.

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

A multilingual retriever whose vectors have less of the language in them: ask in one language, find
the answer in any. The encoder is `{base}`, unchanged. A transform that Mixling {version} fitted
(`mixling debias`) follows it. {use}

| what | how |
|---|---|
{rows}
"""
_USAGE = """```python
from sentence_transformers import SentenceTransformer
model = SentenceTransformer("path/to/this/folder")
queries = model.encode_query(["Where do cranes spend the winter?"])
passages = model.encode_document(["…"])
```
"""


def card_header(base: str, languages: Iterable[str], license: str | None = None) -> str:
    """Return the YAML at the head of a card.

    Args:
        base: Folder or hub name of the base model; a folder is left out.
        languages: Language tags (BCP-47).
        license: License of the model. Default: none is named.
    """
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
    """Return a model's name for people: a hub name, or the last part of a folder's path.

    Args:
        base: Folder or hub name.
    """
    return base if _on_hub(base) else Path(base).name


def trained_card(run: dict[str, Any]) -> str:
    """Return the card of a trained retriever.

    Args:
        run: Content of run.json; with several runs averaged, each under "runs".
    """
    config = run["config"]
    base, runs = config["model"]["name"], run.get("runs") or [run]
    rows = [
        *(
            x
            for n, r in enumerate(runs, 1)
            for x in _run_rows(r, f", run {n} of {len(runs)}, averaged" if len(runs) > 1 else "")
        ),
        f"| averaged with the base | {config['training']['average_with_base'] or 'no'} |",
        *(
            f"| data: {name} | {d['queries']} queries, {d['passages']} passages, "
            f"SHA-256 `{d['sha256'][:16]}` |"
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
        config=json.dumps(_without_paths(config), indent=1, ensure_ascii=False),
    )


def debiased_card(
    origin: dict[str, Any], version: str, license: str | None, by_language: bool
) -> str:
    """Return the card of a debiased model.

    Args:
        origin: How the model was debiased: the method, its options, sources, languages, and the
            base model under "model".
        version: Version of Mixling.
        license: License of the base model.
        by_language: Whether the transform needs the language of each text.
    """
    use = (
        "It needs each text's role, and its language too if the transform is by language: load it "
        "with `mixling.Retriever`, which takes the role and identifies or takes the language."
        if by_language
        else "It loads in sentence-transformers as it is:\n\n" + _USAGE
    )
    rows = [
        f"| {k} | {', '.join(v) if isinstance(v, list) else v} |"
        for k, v in _without_paths(origin).items()
        if k != "model"
    ]
    base = origin["model"]
    return card_header(base, origin.get("languages", []), license) + _DEBIASED.format(
        base=display_name(base), version=version, use=use, rows="\n".join(rows)
    )


def adapted_card(facts: dict[str, Any], license: str | None) -> str:
    """Return the card of a model that was adapted to languages.

    Args:
        facts: Content of the run's run.json.
        license: License of the base model.
    """
    base = facts["model"]
    return card_header(base, {*facts["languages"], facts["pivot"]}, license) + (
        f"# {display_name(base)}, adapted to {', '.join(facts['languages'])}\n\n"
        f"Made by `mixling adapt-language` from bitext ({', '.join(facts['bitext'])}): "
        f"{facts['new_subwords']} new subwords, {facts['steps']} steps of "
        f"{', '.join(facts['objectives'])}. The folder loads in sentence-transformers and "
        f"transformers as it is.\n\n{_USAGE}"
    )


def _on_hub(name: str) -> bool:
    """Return whether a name has the form of a hub name and no such folder exists."""
    return bool(re.fullmatch(r"[\w.-]+/[\w.-]+", name)) and not Path(name).exists()


def _without_paths(value: Any) -> Any:
    """Reduce absolute paths in a configuration to their last part."""
    if isinstance(value, dict):
        return {k: _without_paths(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_paths(v) for v in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _strategy(run: dict[str, Any]) -> str:
    """Return the strategy of a run's batches, with alpha for "hybrid"."""
    batches = run["config"]["batches"]
    name = str(batches["strategy"])
    return f"hybrid({batches['alpha']:g})" if name == "hybrid" else name


def _run_rows(run: dict[str, Any], suffix: str) -> list[str]:
    """Return the table's rows of a run; `suffix` tells several runs apart."""
    config, best = run["config"], run.get("best")
    objective = config["objective"]
    rows = [
        f"| strategy{suffix} | {_strategy(run)}, {config['batches']['size']} pairs a batch, "
        f"{run['steps']} steps |",
        f"| objective | {objective['name']}, temperature {objective['temperature']} |",
        f"| plan of the batches (SHA-256) | `{run['plan']}` |",
    ]
    if best:
        rows.append(
            f"| validation, {best['task']} | {best['metric']} {best['value']:.4f} "
            f"at step {best['step']} |"
        )
    return rows
