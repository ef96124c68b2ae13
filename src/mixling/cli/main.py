"""The command line: `mixling VERB …`. Verbs are imported when they run, so that --help is instant."""

from __future__ import annotations

import sys

import typer

from mixling.cli import (
    adapt,
    compare,
    data,
    debias,
    demo,
    doctor,
    encode,
    evaluate,
    export,
    index,
    leaderboard,
    locate,
    mine,
    schedule,
    search,
    serve,
    study,
    train,
    translate,
)

app = typer.Typer(
    name="mixling",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure and serve text retrievers that treat languages alike.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
for verb in (
    schedule,
    adapt,
    locate,
    mine,
    translate,
    train,
    encode,
    evaluate,
    debias,
    index,
    search,
    serve,
    export,
    compare,
    leaderboard,
    study,
    doctor,
    demo,
):
    app.command(name=verb.__name__.rpartition(".")[2])(verb.run)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Show the version and stop.")) -> None:
    if version:
        from mixling import __version__

        typer.echo(f"mixling {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a user's mistake is one message on standard error and exit status 2."""
    from mixling.errors import MixlingError

    try:
        app()
    except MixlingError as error:
        print(f"mixling: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("mixling: stopped; run the same command again and it goes on", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
