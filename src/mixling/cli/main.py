"""The command line `mixling COMMAND …`.

Each command imports what it needs when it runs, so that --help is instant.
"""

from __future__ import annotations

import sys

import typer

from mixling.cli import (
    adapt_language,
    audit,
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
    locate_answers,
    mine_negatives,
    proxy,
    repair,
    schedule,
    search,
    serve,
    study,
    texts,
    train,
    translate,
)
from mixling.cli.log import messages_on_stderr
from mixling.models.quiet import quiet_libraries

app = typer.Typer(
    name="mixling",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Audit, repair and train multilingual retrievers, and search fairly in many languages.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
# the groups of commands in --help
PANELS = {
    "First steps": (demo, doctor),
    "Audit": (audit, evaluate, compare, leaderboard, texts),
    "Repair": (debias, repair, proxy),
    "Train": (train, schedule, study, adapt_language),
    "Search": (index, search, serve, encode, export),
    "Data": (locate_answers, mine_negatives, translate),
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(
            name=command.__name__.rpartition(".")[2].replace("_", "-"), rich_help_panel=panel
        )(command.run)
app.add_typer(data.app, name="data", rich_help_panel="Data")


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    if version:
        from mixling import __version__

        typer.echo(f"mixling {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line.

    A mistake of the user is one message on standard error and exit status 2.
    """
    from mixling.errors import MixlingError

    quiet_libraries()
    try:
        with messages_on_stderr():
            app()
    except MixlingError as error:
        if error.exit_status == 0:
            print(error)
        else:
            print(f"mixling: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print("mixling: stopped. Run the same command again to continue.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        from mixling.disk import disk_message

        message = disk_message(error)
        if message is None:
            raise
        print(f"mixling: {message}", file=sys.stderr)
        sys.exit(2)
