"""The reference pages, made from the code: commands, configuration keys, names of the package.

`python -m docs.figures` writes them with the other tables; a test holds them equal to the code.
"""

from __future__ import annotations

import inspect
from typing import Any

import click
import typer

import mixling
from mixling.cli.main import app
from mixling.training.explain import tables


def commands() -> str:
    """Return docs/cli.md: the help of each command."""
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
    """Return docs/configuration.md: every key, with a table for each part."""
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
    """Return docs/api.md: every public name.

    Mkdocstrings shows its parameters from the docstring.
    """
    parts = [
        "# Python",
        "",
        "Every command is a function of the same name. All names are imported from `mixling` "
        "itself.",
    ]
    for name in mixling.__all__:
        if name == "__version__":
            continue
        value = getattr(mixling, name)
        module = inspect.getmodule(value)
        assert module is not None
        parts += ["", f"::: {module.__name__}.{value.__qualname__}"]
    return "\n".join(parts) + "\n"


PAGES = {"docs/cli.md": commands, "docs/configuration.md": configuration, "docs/api.md": api}
