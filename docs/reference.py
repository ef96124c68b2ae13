"""The reference pages, made from the code: commands, configuration keys, names of the package.

`python -m docs.figures` writes them with the other tables; a test holds them equal to the code.
"""

from __future__ import annotations

import inspect
from typing import Any

import click
import typer

import mixling
from mixling.auditing.result import MEASURES as AUDIT_MEASURES
from mixling.cli.main import app
from mixling.evaluation.bias.gap import GAPS
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.hubs.neighbors import K
from mixling.evaluation.hubs.table import MEASURES as HUBS
from mixling.evaluation.metrics import METRICS, MULTILINGUAL_METRICS, description
from mixling.training.explain import tables


def commands() -> str:
    """Return docs/reference/cli.md: the help of each command."""
    root: Any = typer.main.get_command(app)
    parts = [
        "# Command line",
        "",
        "This page shows the help of each command, as `mixling COMMAND --help` does. A mistake is "
        "one message and exit status 2. A call that is killed goes on when it is run again.",
    ]
    for path, command in _walk(root, ()):
        parts += ["", f"## mixling {' '.join(path)}", "", " ".join((command.help or "").split())]
        rows = [
            _row(p) for p in command.params if not getattr(p, "hidden", False) and p.name != "help"
        ]
        if rows:
            parts += ["", "| option | default | meaning |", "|---|---|---|", *rows]
    return "\n".join(parts) + "\n"


def _walk(
    command: click.Command, path: tuple[str, ...]
) -> list[tuple[tuple[str, ...], click.Command]]:
    """Return all commands below a group, with their names."""
    commands = []
    for name, child in sorted(getattr(command, "commands", {}).items()):
        inner = _walk(child, (*path, name))
        commands += inner or [((*path, name), child)]
    return commands


def _row(parameter: click.Parameter) -> str:
    """Return the table's row of an option or argument."""
    names = ", ".join(f"`{x}`" for x in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`" + ("" if parameter.required else " (optional)")
    default = parameter.default
    if default is None or callable(default) or default == [] or parameter.required:
        text = ""
    else:
        text = f"`{default}`"
    meaning = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| {names} | {text} | {meaning} |"


def configuration() -> str:
    """Return docs/reference/configuration.md: every key, with a table for each part."""
    parts = [
        "# Configuration of a training",
        "",
        "This page shows every key, as `mixling train --explain` does. A configuration needs its "
        "sources; … marks a key without a default. `[[…]]` may stand several times.",
    ]
    for head, text, rows in tables():
        parts += ["", f"## `{head}`", "", text]
        parts += ["", "| key | default | meaning |", "|---|---|---|"] if rows else []
        for name, default, meaning in rows:
            value = f"`{default}`" if default else ""
            parts.append(f"| `{name}` | {value} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(parts) + "\n"


def api() -> str:
    """Return docs/reference/api.md: every public name.

    Mkdocstrings shows its parameters from the docstring.
    """
    parts = [
        "# Python",
        "",
        "Every command is a function of the same name: `mixling.train(...)`, "
        "`mixling.evaluate(...)`. Instead of `data` and `schedule` use `mixling.load` and "
        "`mixling.Schedule`. All names are imported from `mixling` itself.",
    ]
    for name in mixling.__all__:
        if name == "__version__":
            continue
        value = getattr(mixling, name)
        module = inspect.getmodule(value)
        assert module is not None
        parts += ["", f"::: {module.__name__}.{value.__qualname__}"]
    return "\n".join(parts) + "\n"


def metrics() -> str:
    """Return docs/reference/metrics.md: every measure, from the registries of the code."""
    parts = [
        "# Metrics",
        "",
        "This page defines every figure of a result. It is for readers of a report who want to "
        "know what a figure means, and when it misleads.",
        "",
        "R(q) are the relevant passages of a query q. R_other(q) are those in other languages "
        "than the query's. The top k are the first k passages of the ranking. A mean over queries "
        "is taken within each query language first, then over query languages.",
        "",
        "## The three scenarios",
        "",
        "| scenario | what a query is ranked against | the mean is over |",
        "|---|---|---|",
        "| monolingual | the passages of the query's language | languages |",
        "| cross-lingual | the passages of one other language | ordered pairs of languages |",
        "| multilingual | the passages of all languages in one list, the *multilingual pool* | "
        "query languages |",
        "",
        "The differences between scenarios and between languages are reported too:",
        "",
        "| name | formula | when it misleads | source |",
        "|---|---|---|---|",
        *(f"| `{name}` | {_cells(*texts)} |" for name, texts in GAPS.items()),
        "",
        "## Ranking quality",
        "",
        "The values are equal to those of trec_eval, computed from exact ranks. Those in the "
        f"multilingual scenario alone are {_names(MULTILINGUAL_METRICS)}.",
    ]
    for name in (*METRICS, *MULTILINGUAL_METRICS):
        metric = description(name)
        parts += _measure(name, metric.meaning, metric, "high")
    parts += [
        "",
        "## Language bias",
        "",
        "These are measured in the multilingual pool. Preference and error are two axes. A reader "
        "may want an answer in the query's language first *among right answers* (LPR, "
        "Lang-nDCG). A wrong passage in the query's language before a right one in another "
        "language is an error (intrusion).",
    ]
    for name, measure in ALL.items():
        parts += _measure(name, measure.meaning, measure, measure.better)
    parts += [
        "",
        "## Hubs",
        "",
        f"A hub is a passage among the first {K} of very many queries. N(p) is the number of "
        f"queries that have the passage p among their first {K}, in the multilingual pool. These "
        "measures are taken over all queries together, not by query language first. Some passages "
        "are found more often than others by chance too: a result has each figure beside that of "
        "queries which draw their passages at random.",
    ]
    for name, hub_measure in HUBS.items():
        parts += _measure(name, hub_measure.meaning, hub_measure, hub_measure.better)
    parts += [
        "",
        *_hub_keys(),
        "",
        "## Audits without judgments",
        "",
        "`mixling audit` measures these on known items, and `--fail-if` compares them with a "
        "limit. [The guide to audits](../guides/audit.md#measures) explains known items.",
        "",
        "| name | meaning |",
        "|---|---|",
        *(f"| `{name}` | {_cells(meaning)} |" for name, meaning in AUDIT_MEASURES.items()),
    ]
    return "\n".join(parts) + "\n"


def _hub_keys() -> list[str]:
    """Return the table of what a result holds of hubs."""
    return [
        "#### The keys of a result",
        "",
        '`summary.json` holds the figures under `["tasks"][TASK]["hubs"]`; '
        '`result.value(TASK, "hubs", "hub_skew@10")` returns one.',
        "",
        "| key | content |",
        "|---|---|",
        f"| {', '.join(f'`{x}`' for x in HUBS)} | the figures |",
        "| `at_random` | the same for queries that draw their passages at random, as far as a "
        "formula gives it |",
        "| `unanswering_by_language` | the share of each language's passages that no query finds |",
        "| `reciprocity_by_pair` | reciprocity by query language and, in it, passage language |",
        "",
        "A run or a search system has no reciprocity unless its lists hold all passages.",
    ]


def _measure(name: str, meaning: str, measure: Any, better: str) -> list[str]:
    """Return the part of a measure."""
    direction = {"high": "higher", "low": "lower", "": "neither; it describes"}[better]
    return [
        "",
        f"### {name}",
        "",
        meaning,
        "",
        "```text",
        measure.formula,
        "```",
        "",
        "| range | better | source |",
        "|---|---|---|",
        f"| {_cells(measure.range, direction, measure.source)} |",
        "",
        f"When it misleads: it {measure.caveat[0].lower()}{measure.caveat[1:]}"
        if _begins_with_verb(measure.caveat)
        else f"When it misleads: {measure.caveat}",
    ]


def _begins_with_verb(sentence: str) -> bool:
    """Return whether a sentence has the measure as its subject, left out."""
    return sentence.partition(" ")[0] in {
        "Cannot", "Depends", "Falls", "Grows", "Hides", "Ignores", "Is", "Needs", "Weighs",
    }  # fmt: skip


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cells(*texts: str) -> str:
    return " | ".join(text.replace("|", "\\|") for text in texts)


PAGES = {
    "docs/reference/cli.md": commands,
    "docs/reference/configuration.md": configuration,
    "docs/reference/api.md": api,
    "docs/reference/metrics.md": metrics,
}
