"""`mixling search`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mixling.cli.options import Trust, printable

if TYPE_CHECKING:
    from mixling.searching.fairness import Order
    from mixling.searching.hits import SearchHit
    from mixling.searching.options import Mode

NO_GOOD_ANSWER = (
    "no good answer: no passage stands out from the others of the store, so probably none of these "
    "answers the query"
)


def run(
    store: Annotated[str, typer.Argument(help="The store: a folder, or milvus://host:port/name.")],
    query: Annotated[
        list[str] | None,
        typer.Argument(
            help="The query, or the query and its translations; without it, queries are read from "
            "the terminal."
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of passages to return.")] = 10,
    language: Annotated[
        list[str] | None,
        typer.Option(
            "--language",
            "-l",
            help="Search passages in this language only; may be repeated, or en,sw.",
        ),
    ] = None,
    mode: Annotated[str, typer.Option(help="dense, text, or both.")] = "dense",
    order: Annotated[
        str,
        typer.Option(
            help="query-language-first (among equally good passages), centered, round-robin, or "
            "score."
        ),
    ] = "query-language-first",
    query_language: Annotated[
        str | None, typer.Option(help="Language of the query; identified if not given.")
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option(help="At most this many passages of a language: en=3; may be repeated."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each passage.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="New place of the store's model, if it has moved.")
    ] = None,
    task_description: Annotated[
        str | None,
        typer.Option(
            help="Purpose of the queries in a sentence, for a model whose prompt is an "
            "instruction. Default: as the store was made."
        ),
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(
            help="Rerank by a cross-encoder (folder or hub name), cohere:MODEL, jina:MODEL, "
            "voyage:MODEL, or an address: https://host/rerank#MODEL, without #MODEL for TEI."
        ),
    ] = None,
    rerank_depth: Annotated[
        int, typer.Option(min=1, help="Number of candidates that the reranker reads, at least -k.")
    ] = 100,
    trust_remote_code: Trust = False,
) -> None:
    """Search a store: the best passages for a query, in any language."""
    from mixling.errors import MixlingError
    from mixling.searching.answerable import has_good_answer
    from mixling.searching.query import Searcher

    quotas = _parse_quotas(quota or [])
    searcher = Searcher(store, model, trust_remote_code, task_description, rerank)

    def answer(queries: list[str]) -> None:
        hits = searcher.search(
            queries,
            k,
            languages=[x for part in language or [] for x in part.split(",")] or None,
            mode=cast("Mode", mode),
            order=cast("Order", order),
            query_language=query_language,
            quotas=quotas or None,
            rerank_depth=rerank_depth,
        )
        if as_json:
            _print_json(hits)
        else:
            _print_hits(hits, rerank is not None or mode == "dense", rerank is not None)
        if hits and has_good_answer(hits) is False:
            typer.echo(NO_GOOD_ANSWER, err=True)

    if query:
        answer(query)
        return
    while True:
        try:
            text = input("? ").strip()
        except EOFError:
            return
        if text:
            try:
                answer([text])
            except MixlingError as error:
                typer.echo(f"mixling: {error}", err=True)


def _parse_quotas(texts: Sequence[str]) -> dict[str, int]:
    """Parse quotas as they are written on the command line (en=3)."""
    from mixling.errors import MixlingError

    quotas = {}
    for text in texts:
        code, _, number = text.partition("=")
        if not code or not number.isdecimal():
            raise MixlingError(f"--quota {text}: expected LANGUAGE=NUMBER, for instance en=3.")
        quotas[code] = int(number)
    return quotas


def _print_json(hits: Sequence[SearchHit]) -> None:
    import json

    for hit in hits:
        typer.echo(json.dumps(hit.to_dict(), ensure_ascii=False))


def _print_hits(hits: Sequence[SearchHit], with_centered_score: bool, reranked: bool) -> None:
    """Print hits, two lines each, the nearest sentence in bold.

    Args:
        hits: The hits.
        with_centered_score: Print the score minus the language offset too, where the order uses it.
        reranked: Whether the scores are a reranker's.
    """
    if not hits:
        typer.echo("No passage was found.")
        return
    for hit in hits:
        begin, end = hit.sentence or (0, 0)
        text, title, address = (printable(x) for x in (hit.text, hit.title, hit.address))
        centered = ""
        if with_centered_score and hit.language_offset is not None:
            centered = f" {hit.score - hit.language_offset:+.3f}"
        language = typer.style(hit.language, bold=True)
        head = f"{hit.rank:2}. {language} {hit.score:.3f}{centered} {title} {address}"
        typer.echo(head.rstrip())
        sentence = typer.style(text[begin:end], bold=True)
        typer.echo("    " + " ".join(f"{text[:begin]}{sentence}{text[end:]}".split()))
    if with_centered_score and any(hit.language_offset is not None for hit in hits):
        offset = "its language's candidates" if reranked else "its language's mean passage"
        typer.echo(
            f"The signed number is the score minus the score of {offset}. --order sorts by it; "
            "--order score sorts by the score alone.",
            err=True,
        )
