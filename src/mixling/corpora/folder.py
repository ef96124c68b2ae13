"""A folder of one's own: a BEIR folder with a `language` (and, if texts are parallel, a `group`) column.

    corpus.jsonl or corpus.parquet    _id, text, language [, title, group]
    queries.jsonl or queries.parquet  _id, text, language [, group]
    qrels/<split>.tsv                 query-id TAB corpus-id TAB score, with a header line
    answers/<split>.tsv               query-id, corpus-id, start, end: characters of the answer, if known
    negatives/<split>.tsv             query-id, corpus-id, score: passages that look right and are not, hardest first

Texts of one group say the same; a text without a group is one of its own. A folder whose rows have no
`language` needs one for all (`language = "en"` in the source's table).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.corpus import Builder, Corpus
from mixling.corpora.data_card import card
from mixling.corpora.files import find, json_lines, parquet, text_field, text_of, title_field
from mixling.corpora.languages import said, tag, tag_field
from mixling.errors import BadRow, MixlingError, Skipped


def read(
    folder: Path,
    name: str | None = None,
    split: str | None = None,
    language: str | None = None,
    skip_bad: bool = False,
) -> Corpus:
    """The corpus of a folder; `split` names the qrels file (default: the only one, or train)."""
    builder, skipped = Builder(name or folder.name), Skipped(skip_bad)
    fallback = tag(language) if language else None
    passages: dict[str, int] = {}
    groups: dict[str, str] = {}
    languages: dict[str, str] = {}
    for path, line, row in _rows(folder, "corpus", skipped):
        try:
            key = _id(row, path, line, passages)
            code = _language(row, fallback, path, line)
            passages[key] = builder.passage(
                key,
                text_field(row, "text", path, line),
                code,
                str(row.get("group") or key),
                title_field(row, "title", path, line),
            )
        except BadRow as bad:
            skipped(bad)
    for path, line, row in _rows(folder, "queries", skipped):
        try:
            key = _id(row, path, line, groups)
            code = _language(row, fallback, path, line)
            group = str(row.get("group") or key)
            builder.question(key, text_field(row, "text", path, line), code, group)
            groups[key], languages[key] = group, code
        except BadRow as bad:
            skipped(bad)
    wanted = _split(folder, split)

    def known(path: Path, line: int, query: str, passage: str) -> bool:
        for column, key, there, name in (
            ("query-id", query, groups, "queries"),
            ("corpus-id", passage, passages, "corpus"),
        ):
            if key not in there:
                skipped(
                    BadRow(path, line, column, key, f"an _id of {name}.jsonl", "add the row or drop the line")
                )
                return False
        return True

    spans: dict[tuple[str, int], tuple[int, int]] = {}
    for path, line, (query, passage, start, end) in _lines(folder, "answers", wanted, (int, int), skipped):
        if known(path, line, query, passage):
            spans[groups[query], passages[passage]] = (start, end)
    for path, line, (query, passage, score) in _lines(folder, "qrels", wanted, (float,), skipped):
        if score > 0 and known(path, line, query, passage):
            pair = (groups[query], passages[passage])
            start, end = spans.get(pair, (None, None))
            builder.link(*pair, start, end, max(1, round(score)))
    for path, line, (query, passage) in _lines(folder, "negatives", wanted, (), skipped):
        if known(path, line, query, passage):
            builder.negative(query, languages[query], passages[passage])
    several = len(list((folder / "qrels").glob("*.tsv*"))) > 1
    return (_linked(builder) if several else builder).build(skipped.rows)


def write(
    corpus: Corpus,
    folder: Path,
    split: str = "train",
    parquet: bool = False,
    more: dict[str, str] | None = None,
) -> None:
    """Write a corpus as such a folder (complete or not at all), with its card and further files by name. Sentences' places are
    not kept."""
    import json
    import shutil

    if folder.exists():
        raise MixlingError(f"{folder}: exists already; choose another folder or remove it")
    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "qrels").mkdir(parents=True)
    ids = [f"p{i}" for i in range(corpus.passages.num_rows)]
    qids = [f"q{i}" for i in range(corpus.questions.num_rows)]
    tables = {
        "corpus": corpus.passages.select(["text", "language", "group", "title"]).add_column(
            0, "_id", pa.array(ids)
        ),
        "queries": corpus.questions.select(["text", "language", "group"]).add_column(
            0, "_id", pa.array(qids)
        ),
    }
    files = {kind: f"{kind}.{'parquet' if parquet else 'jsonl'}" for kind in tables}
    for kind, table in tables.items():
        if parquet:
            pq.write_table(table, temporary / files[kind])
        else:
            rows = ({k: v for k, v in row.items() if v is not None} for row in table.to_pylist())
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (temporary / files[kind]).write_text(lines, encoding="utf-8")
    members: dict[str, list[str]] = {}
    for key, group in zip(qids, corpus.questions["group"].to_pylist(), strict=True):
        members.setdefault(group, []).append(key)
    links = corpus.links.to_pylist()
    _table(
        temporary / "qrels" / f"{split}.tsv",
        ("score",),
        ((key, ids[x["passage"]], x["grade"]) for x in links for key in members.get(x["group"], [])),
    )
    if any(x["start"] is not None for x in links):
        _table(
            temporary / "answers" / f"{split}.tsv",
            ("start", "end"),
            (
                (members[x["group"]][0], ids[x["passage"]], x["start"], x["end"])
                for x in links
                if x["start"] is not None and x["group"] in members
            ),
        )
    if corpus.negatives.num_rows:
        wrong = zip(*(corpus.negatives[c].to_pylist() for c in ("question", "passage")), strict=True)
        _table(temporary / "negatives" / f"{split}.tsv", (), ((qids[q], ids[p]) for q, p in wrong))
    for name, text in {"README.md": card(corpus, files), **(more or {})}.items():
        (temporary / name).write_text(text, encoding="utf-8")
    temporary.rename(folder)


def _table(path: Path, columns: tuple[str, ...], rows: Iterable[tuple]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        out.write("\t".join(("query-id", "corpus-id", *columns)) + "\n")
        out.writelines("\t".join(map(str, row)) + "\n" for row in rows)


def _rows(folder: Path, kind: str, skipped: Skipped) -> Iterator[tuple[Path, int, dict]]:
    path = find(folder, f"{kind}.jsonl", f"{kind}.parquet")
    if path is None:
        raise MixlingError(
            f"{folder}: no {kind}.jsonl or {kind}.parquet; see `mixling data --help` for the folder's form"
        )
    if path.suffix == ".parquet":
        yield from ((path, i, row) for i, row in enumerate(parquet(path).to_pylist(), 1))
    else:
        yield from ((path, line, row) for line, row in json_lines(path, skipped))


def _id(row: dict, path: Path, line: int, seen: dict) -> str:
    key = row.get("_id")
    if key is None or not str(key).strip():
        raise BadRow(path, line, "_id", key, "an id", "give every row an _id")
    if str(key) in seen:
        raise BadRow(path, line, "_id", key, "an id not used before", "rename one of the two rows")
    return str(key)


def _language(row: dict, fallback: str | None, path: Path, line: int) -> str:
    written = said(row.get("language"), row.get("lang"), fallback)
    if written is None:
        raise BadRow(
            path,
            line,
            "language",
            row.get("language"),
            "a BCP-47 tag",
            "add the column, or give `language` for all rows",
        )
    return tag_field(written, "language", path, line)


def _split(folder: Path, split: str | None) -> str:
    """The split that is meant. Raises MixlingError when it is not there."""
    files = sorted((folder / "qrels").glob("*.tsv*"))
    names = [f.name.removesuffix(".gz").removesuffix(".tsv") for f in files]
    if not files:
        raise MixlingError(f"{folder}: no qrels/<split>.tsv; write query-id, corpus-id and score there")
    if split is None:
        split = names[0] if len(names) == 1 else "train"
    if split not in names:
        raise MixlingError(f"{folder}: no split '{split}'; there are: {', '.join(names)}")
    return split


def _lines(
    folder: Path, kind: str, split: str, types: tuple[type, ...], skipped: Skipped
) -> Iterator[tuple[Path, int, tuple]]:
    """(query-id, corpus-id, numbers of these types …) of each line of KIND/SPLIT.tsv; further columns are not read."""
    path = find(folder / kind, f"{split}.tsv")
    if path is None:
        return
    for line, text in enumerate(io.StringIO(text_of(path)), 1):
        parts = text.rstrip("\n").split("\t")
        if (line == 1 and parts[0] == "query-id") or not text.strip():
            continue
        if len(parts) < 2 + len(types) or (kind == "qrels" and len(parts) != 3):
            columns = ("two", "three", "four")[len(types)]
            fix = f"{columns} columns with tabs between"
            skipped(BadRow(path, line, "line", text.strip(), fix, "mend the line"))
            continue
        try:
            numbers = [kind_of(x) for kind_of, x in zip(types, parts[2:], strict=False)]
            if not all(abs(x) < 2**31 for x in numbers):  # nor NaN or infinity
                raise ValueError
        except ValueError:
            name = "score" if kind == "qrels" else "start, end"
            skipped(BadRow(path, line, name, "\t".join(parts[2:]), "a number", "mend the line"))
            continue
        yield path, line, (parts[0], parts[1], *numbers)


def _linked(builder: Builder) -> Builder:
    """Leave out questions of other splits: those whose group has no passage in this one."""
    linked = {group for group, _ in builder.links}
    kept = [i for i, q in enumerate(builder.questions) if q[3] in linked]
    new = {old: i for i, old in enumerate(kept)}
    builder.questions = [builder.questions[i] for i in kept]
    builder.negatives = {(new[q], p): None for q, p in builder.negatives if q in new}
    return builder
