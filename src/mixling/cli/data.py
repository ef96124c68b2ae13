"""The commands `mixling data list`, `show`, `convert` and `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixling.cli.options import printable, split_languages

app = typer.Typer(
    no_args_is_help=True,
    help="""List, show, convert and check corpora.

A folder of your own holds corpus.jsonl (_id, text, language, and title or group if you have them),
queries.jsonl (_id, text, language, group) and qrels/<split>.tsv (query-id, corpus-id, score). Texts
of one group are translations of each other. The files may be Parquet as well.""",
)

Path_ = Annotated[
    Path | None,
    typer.Option(
        "--path", help="The folder of the data; default: MIXLING_DATA, ./data, then the cache."
    ),
]
Split = Annotated[
    str | None, typer.Option("--split", help="The split; default: train, else the first.")
]
Languages = Annotated[
    str | None,
    typer.Option(
        "--languages", help="Only these languages, for instance en,sw; no other is fetched."
    ),
]
Skip = Annotated[
    bool, typer.Option("--skip-bad", help="Skip bad rows; they are counted and listed.")
]


@app.command("list")
def list_() -> None:
    """List the named sources, and where to get those that are not on this machine."""
    from rich.console import Console
    from rich.table import Table

    from mixling.corpora.catalog import SOURCES, find_source
    from mixling.evaluation.benchmarks import DERIVED

    table = Table(show_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("available")
    table.add_column("languages", justify="right")
    table.add_column("queries /\npassages", justify="right")
    table.add_column("description", overflow="fold")
    missing = []
    for source in SOURCES.values():
        if find_source(source.name) is not None:
            available = "yes"
        else:
            available = "on demand" if source.is_fetched else "no"
            if any(r.gated for r in source.repositories):
                available = "gated"
        counts = next((f"{q:,} /\n{p:,}" for q, p in source.counts.values()), "")
        table.add_row(
            source.name,
            available,
            str(len(source.languages))
            if len(source.languages) > 1
            else source.languages[0].split()[0],
            counts,
            source.description,
        )
        if available == "gated":
            missing.append(
                f"{source.name}: Mixling fetches it at the first use, after you have accepted "
                f"its terms and set HF_TOKEN ({source.how_to_get})"
            )
        elif available == "on demand":
            missing.append(
                f"{source.name}: Mixling fetches it at the first use ({source.how_to_get})"
            )
        elif available == "no":
            missing.append(
                f"{source.name}: get {source.how_to_get}; put it into a folder "
                f"'{source.folder_name}' below MIXLING_DATA"
            )
    console = Console(emoji=False)
    console.print(table)
    console.print(f"Tasks derived from them: {', '.join(DERIVED)}", soft_wrap=True, highlight=False)
    console.print(
        "Also mteb:NAME, ir_datasets:ID, or a folder of your own (mixling data --help)",
        highlight=False,
    )
    for line in missing:
        console.print(line, soft_wrap=True, highlight=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A named source or a folder of your own.")],
    path: Path_ = None,
    split: Split = None,
    languages: Languages = None,
    skip_bad: Skip = False,
) -> None:
    """Show a corpus: counts by language, translation groups and three queries."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mixling.corpora.catalog import SOURCES, load
    from mixling.corpora.languages import language_name

    corpus = load(
        name,
        split,
        path=path,
        languages=split_languages(languages),
        skip_bad=skip_bad,
    )
    console = Console(emoji=False)
    if name in SOURCES:
        source = SOURCES[name]
        for label, text in (
            ("description", source.description),
            ("splits", ", ".join(source.splits)),
            ("license", source.license),
            ("cite", source.citation),
        ):
            console.print(f"{label}: {text}", soft_wrap=True, highlight=False)
    table = Table(
        show_edge=False,
        title=Text(
            f"{corpus.name}: {corpus.queries.num_rows} queries in "
            f"{len(corpus.queries['group'].unique())} groups, {corpus.passages.num_rows} passages "
            "in "
            f"{len(corpus.passages['group'].unique())} groups",
            "table.title",
        ),
        title_justify="left",
    )
    for column in ("language", "", "queries", "passages"):
        table.add_column(column, justify="right" if column in ("queries", "passages") else "left")
    counts = [
        {v["values"]: v["counts"] for v in t["language"].value_counts().to_pylist()}
        for t in (corpus.queries, corpus.passages)
    ]
    for code in corpus.languages():
        table.add_row(
            code, language_name(code), str(counts[0].get(code, 0)), str(counts[1].get(code, 0))
        )
    console.print(table)
    for query in corpus.queries.slice(0, 3).to_pylist():
        text = printable(query["text"])
        console.print(f"[{query['language']}] {text}", markup=False, highlight=False)
    for line in corpus.skipped:
        console.print(f"skipped: {line}", markup=False, highlight=False)
    if corpus.skipped:
        console.print(f"{len(corpus.skipped)} bad rows were skipped")
    for reason, count in corpus.left_out.items():
        console.print(f"left out: {count:,} {reason}", highlight=False)
    console.print(f"SHA-256 {corpus.fingerprint()}", highlight=False)


@app.command()
def convert(
    name: Annotated[str, typer.Argument(help="A named source or a folder of your own.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    path: Path_ = None,
    split: Split = None,
    languages: Languages = None,
    parquet: Annotated[bool, typer.Option(help="Write Parquet instead of jsonl.")] = False,
    skip_bad: Skip = False,
) -> None:
    """Write a corpus as a folder in Mixling's format (BEIR with language and group)."""
    from mixling.corpora.catalog import load, loaded_split
    from mixling.corpora.folder import write_folder

    split = split or loaded_split(name, path)
    corpus = load(
        name,
        split,
        path=path,
        languages=split_languages(languages),
        skip_bad=skip_bad,
    )
    several = write_folder(corpus, out, split, parquet)
    for line in corpus.skipped[:20]:
        typer.echo(f"skipped: {line}")
    typer.echo(
        f"{out}: {corpus.queries.num_rows} queries, {corpus.passages.num_rows} passages"
        + (f", {len(corpus.skipped)} bad rows skipped" if corpus.skipped else "")
    )
    if several:
        typer.echo(
            f"{several} ids occur in several languages, so each id now begins with its language, "
            "as in sw:12."
        )


@app.command()
def check(
    names: Annotated[
        list[str] | None, typer.Argument(help="Named sources; default: all of them.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Also fetch and read the split that is measured.")
    ] = False,
) -> None:
    """Check sources where they are published: commits, files, and the first rows.

    Nothing is kept, unless --full is given. Needs a network. Exit status 1: some source failed.
    """
    from mixling.corpora.catalog import SOURCES
    from mixling.corpora.check import check_source
    from mixling.corpora.fetch import fetch_source
    from mixling.errors import MixlingError, choose
    from mixling.evaluation.benchmarks import default_split

    failed = []
    for name in names or SOURCES:
        source = SOURCES[choose(name, SOURCES, "source")]
        report = check_source(source)
        status, findings = report.status, list(report.findings)
        if full and source.folder_name is not None and status == "ok":
            try:
                splits = (default_split(source), *source.splits)
                split = next(s for s in splits if s in source.fetched_splits)
                folder, _ = fetch_source(source, split, None)
                corpus = source.read(folder, split, None, False)
            except MixlingError as error:
                status, findings = "failed", [str(error), *findings]
            else:
                findings.append(
                    f"{split}: {corpus.queries.num_rows:,} queries, "
                    f"{corpus.passages.num_rows:,} passages, {len(corpus.skipped):,} bad rows"
                )
        if status == "failed":
            failed.append(name)
        typer.echo(f"{name}: {status}")
        for line in findings:
            typer.echo(f"  {printable(line)}")
    if failed:
        typer.echo(f"{len(failed)} of {len(names or SOURCES)} sources failed: {', '.join(failed)}")
        raise typer.Exit(1)
