"""The pages that are made of the code itself: every verb with its options, every setting, every name of the package.

`python -m docs.figures` writes them with the other tables; a test holds them equal to the code.
"""

from __future__ import annotations

import inspect

import typer

import mixling
from mixling.cli.main import app
from mixling.training.explain import tables


def commands() -> str:
    """docs/cli.md: what `--help` says, verb by verb."""
    root = typer.main.get_command(app)
    parts = [
        "# Command line",
        "",
        "What `mixling VERB --help` says. A mistake is one message and exit status 2; a call that is killed goes on when it is "
        "run again.",
    ]
    for path, command in _walk(root, ()):
        parts += ["", f"## mixling {' '.join(path)}", "", " ".join((command.help or "").split())]
        rows = [
            _row(p) for p in command.params if not getattr(p, "hidden", False) and p.name != "help"
        ]
        if rows:
            parts += ["", "| what | default | meaning |", "|---|---|---|", *rows]
    return "\n".join(parts) + "\n"


def _walk(command: object, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], object]]:
    found = []
    for name, one in sorted(getattr(command, "commands", {}).items()):
        inner = _walk(one, (*path, name))
        found += inner or [((*path, name), one)]
    return found


def _row(parameter: object) -> str:
    names = ", ".join(f"`{x}`" for x in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`" + ("" if parameter.required else ", may be left out")
    default = parameter.default
    shown = (
        ""
        if default is None or callable(default) or default == [] or parameter.required
        else f"`{default}`"
    )
    said = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| {names} | {shown} | {said} |"


def settings() -> str:
    """docs/settings.md: what `mixling train --explain` says, a table a part."""
    parts = [
        "# Settings of a training",
        "",
        "What `mixling train --explain` says. A configuration needs its sources; … marks what has no default. `[[…]]` may stand "
        "several times.",
    ]
    for head, said, rows in tables():
        parts += ["", f"## `{head}`", "", said]
        parts += ["", "| setting | default | meaning |", "|---|---|---|"] if rows else []
        for name, default, meaning in rows:
            shown = f"`{default}`" if default else ""
            parts.append(f"| `{name}` | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(parts) + "\n"


def api() -> str:
    """docs/api.md: every public name, for mkdocstrings to fill in."""
    parts = [
        "# Python",
        "",
        "Every verb is a function of the same name. All names are had from `mixling` itself.",
    ]
    for name in mixling.__all__:
        if name == "__version__":
            continue
        one = getattr(mixling, name)
        module = inspect.getmodule(one).__name__
        parts += ["", f"::: {module}.{one.__qualname__}"]
    return "\n".join(parts) + "\n"


PAGES = {"docs/cli.md": commands, "docs/settings.md": settings, "docs/api.md": api}
