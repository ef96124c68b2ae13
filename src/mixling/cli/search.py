"""`mixling search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixling.cli.options import Trust, printable

if TYPE_CHECKING:
    from mixling.searching.query import Searcher


def run(
    store: Annotated[str, typer.Argument(help="The store: a folder, or milvus://host:port/name.")],
    query: Annotated[
        list[str] | None,
        typer.Argument(
            help="The query, or it and its translations; without one, queries are read from the terminal."
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = 10,
    language: Annotated[
        list[str] | None,
        typer.Option(
            "--language", "-l", help="Passages of these alone; may be repeated, or en,sw."
        ),
    ] = None,
    mode: Annotated[str, typer.Option(help="dense, text, or both.")] = "dense",
    order: Annotated[
        str,
        typer.Option(
            help="query-language-first (among equally good passages), centered, round-robin, or score."
        ),
    ] = "query-language-first",
    query_language: Annotated[
        str | None, typer.Option(help="Language of the query; identified if not given.")
    ] = None,
    quota: Annotated[
        list[str] | None, typer.Option(help="At most so many of a language: en=3; may be repeated.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON for each passage.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Where the store's model lies now.")] = None,
    trust_remote_code: Trust = False,
) -> None:
    """Search a store: the best passages for a query, in any language."""
    from mixling.errors import MixlingError
    from mixling.searching.query import Searcher

    quotas = {}
    for written in quota or []:
        code, _, number = written.partition("=")
        if not number.isdigit():
            raise MixlingError(f"--quota {written}: write LANGUAGE=NUMBER, for instance en=3")
        quotas[code] = int(number)
    more: dict[str, Any] = {
        "languages": [x for part in language or [] for x in part.split(",")] or None,
        "mode": mode,
        "order": order,
        "query_language": query_language,
        "quotas": quotas or None,
    }
    searcher = Searcher(store, model, trust_remote_code)
    if query:
        _show(searcher, query, k, more, as_json)
        return
    while True:
        try:
            asked = input("? ").strip()
        except EOFError:
            return
        if asked:
            try:
                _show(searcher, [asked], k, more, as_json)
            except MixlingError as error:
                typer.echo(f"mixling: {error}", err=True)


def _show(
    searcher: Searcher, asked: list[str], k: int, more: dict[str, Any], as_json: bool
) -> None:
    import json

    found = searcher.search(asked, k, **more)
    levelled = more["mode"] == "dense" and any("language_offset" in row for row in found)
    for row in found:
        if as_json:
            typer.echo(json.dumps(row, ensure_ascii=False))
            continue
        begin, end = row["sentence"]
        text, title, address = (printable(row[k]) for k in ("text", "title", "address"))
        over = f" {row['score'] - row['level']:+.3f}" if levelled else ""
        head = f"{row['rank']:2}. {typer.style(row['language'], bold=True)} {row['score']:.3f}{over} {title} {address}"
        typer.echo(head.rstrip())
        typer.echo(
            "    "
            + " ".join(
                f"{text[:begin]}{typer.style(text[begin:end], bold=True)}{text[end:]}".split()
            )
        )
    if not found and not as_json:
        typer.echo("nothing found")
    if levelled and not as_json:
        said = "over the score of its language's mean passage, on which --order goes (score: by score alone)"
        typer.echo(f"+: {said}", err=True)
