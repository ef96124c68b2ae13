"""A folder of one's own: a BEIR folder with a `language` (and, if texts are parallel, a `group`) column.

    corpus.jsonl or corpus.parquet    _id, text, language [, title, group] (also .ndjson, .json, .csv, .tsv; .gz)
    queries.jsonl or queries.parquet  _id, text, language [, group]
    qrels/<split>.tsv                 query-id TAB corpus-id TAB score, with or without a header, or TREC's four columns
    answers/<split>.tsv               query-id, corpus-id, start, end: characters of the answer, if known
    negatives/<split>.tsv             query-id, corpus-id, score: passages that look right and are not, hardest first

Texts of one group say the same; a text without a group is one of its own. A folder whose rows have no
`language` needs one for all (`language = "en"` in the source's table).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mixling.corpora.corpus import Corpus, CorpusBuilder, unique_ids
from mixling.corpora.data_card import data_card
from mixling.corpora.files import find_file, table_lines
from mixling.corpora.languages import first_known_language, language_field, language_tag
from mixling.corpora.tables import ROWS, data_suffix, find_rows, read_rows
from mixling.corpora.values import grade_value, id_text, passage_text, text_field, value_text
from mixling.disk import new_folder
from mixling.errors import BadRow, MixlingError, Skipped

_TEXT = (".tsv", ".txt", ".qrels")
_TABLES = (*_TEXT, *(x for x in ROWS if x not in _TEXT))
_IDS = ("query-id", "corpus-id")
_HEADERS = ("query-id", "queryid", "query", "qid")


def read_folder(
    folder: Path,
    name: str | None = None,
    split: str | None = None,
    language: str | None = None,
    skip_bad: bool = False,
) -> Corpus:
    """The corpus of a folder; `split` names the qrels file (default: the only one, or train)."""
    builder, skipped = CorpusBuilder(name or folder.name), Skipped(skip_bad)
    fallback = language_tag(language) if language else None
    passages: dict[str, int] = {}
    groups: dict[str, str] = {}
    languages: dict[str, str] = {}
    # ids that two rows claim: which one a line of qrels means cannot be known, so neither is read
    twice: set[str] = set()
    for path, line, row in _rows(folder, "corpus", skipped):
        try:
            key = _id(row, path, line, passages, twice)
            code = _language(row, fallback, path, line)
            text, title = passage_text(row, path, line)
            group = value_text(row.get("group"), "group", path, line) or key
            passages[key] = builder.add_passage(key, text, code, group, title)
        except BadRow as bad:
            skipped(bad)
    passages = {key: row for key, row in passages.items() if key not in twice}
    twice = set()
    for path, line, row in _rows(folder, "queries", skipped):
        try:
            key = _id(row, path, line, groups, twice)
            code = _language(row, fallback, path, line)
            group = value_text(row.get("group"), "group", path, line) or key
            builder.add_query(key, text_field(row, "text", path, line), code, group)
            groups[key], languages[key] = group, code
        except BadRow as bad:
            skipped(bad)
    groups = {key: group for key, group in groups.items() if key not in twice}
    wanted = _split(folder, split)

    def known(path: Path, line: int, query: str, passage: str) -> bool:
        for column, key, there, name in (
            ("query-id", query, groups, "queries"),
            ("corpus-id", passage, passages, "corpus"),
        ):
            if key not in there:
                skipped(
                    BadRow(
                        path,
                        line,
                        column,
                        key,
                        f"an _id of {name}.jsonl",
                        "add the row or drop the line",
                    )
                )
                return False
        return True

    spans: dict[tuple[str, int], tuple[int, int]] = {}
    for path, line, (query, passage, start, end) in _lines(
        folder, "answers", wanted, (int, int), skipped
    ):
        if known(path, line, query, passage):
            spans[groups[query], passages[passage]] = (start, end)
    for path, line, query, passage, score in iter_judgments(
        _table_of(folder, "qrels", wanted), skipped
    ):
        if score > 0 and known(path, line, query, passage):
            pair = (groups[query], passages[passage])
            start, end = spans.get(pair, (None, None))
            builder.add_link(*pair, start, end, score)
    for path, line, (query, passage) in _lines(folder, "negatives", wanted, (), skipped):
        if known(path, line, query, passage):
            builder.add_negative(query, languages[query], passages[passage])
    several = len(folder_splits(folder)) > 1
    return (_linked(builder) if several else builder).build(skipped.rows)


def write_folder(
    corpus: Corpus,
    folder: Path,
    split: str = "train",
    parquet: bool = False,
    extra_files: dict[str, str] | None = None,
) -> int:
    """Write a corpus as such a folder (complete or not at all), with its card and further files by name. Ids stay as the source
    has them (see `own_ids`). Sentences' places are not kept. Returns how many ids stand in several languages and therefore have
    their language before them."""
    if folder.exists():
        raise MixlingError(f"{folder}: exists already; choose another folder or remove it")
    ids, qids = (
        unique_ids(t, letter) for t, letter in ((corpus.passages, "p"), (corpus.queries, "q"))
    )
    for key in (*ids, *qids):
        if any(c in key for c in "\t\r\n"):
            raise MixlingError(
                f"{corpus.name}: the id {key!r} has a tab or a line break, which qrels cannot hold; rename it"
            )
    with new_folder(folder) as temporary:
        _write_into(temporary, corpus, ids, qids, split, parquet, extra_files or {})
    return sum(
        new == f"{language}:{old}"
        for table, names in ((corpus.passages, ids), (corpus.queries, qids))
        for new, old, language in zip(
            names, table["id"].to_pylist(), table["language"].to_pylist(), strict=True
        )
    )


def _write_into(
    temporary: Path,
    corpus: Corpus,
    ids: Sequence[str],
    qids: Sequence[str],
    split: str,
    parquet: bool,
    more: dict[str, str],
) -> None:
    import json

    (temporary / "qrels").mkdir()
    tables = {
        "corpus": corpus.passages.select(["text", "language", "group", "title"]).add_column(
            0, "_id", pa.array(ids)
        ),
        "queries": corpus.queries.select(["text", "language", "group"]).add_column(
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
    for key, group in zip(qids, corpus.queries["group"].to_pylist(), strict=True):
        members.setdefault(group, []).append(key)
    links = corpus.links.to_pylist()
    _table(
        temporary / "qrels" / f"{split}.tsv",
        ("score",),
        (
            (key, ids[x["passage"]], x["grade"])
            for x in links
            for key in members.get(x["group"], [])
        ),
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
        wrong = zip(*(corpus.negatives[c].to_pylist() for c in ("query", "passage")), strict=True)
        _table(temporary / "negatives" / f"{split}.tsv", (), ((qids[q], ids[p]) for q, p in wrong))
    for name, text in {"README.md": data_card(corpus, files), **more}.items():
        (temporary / name).write_text(text, encoding="utf-8")


def _table(path: Path, columns: tuple[str, ...], rows: Iterable[tuple]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        out.write("\t".join(("query-id", "corpus-id", *columns)) + "\n")
        out.writelines("\t".join(map(str, row)) + "\n" for row in rows)


def _rows(folder: Path, kind: str, skipped: Skipped) -> Iterator[tuple[Path, int, dict]]:
    path = find_rows(folder, kind)
    if path is None:
        raise MixlingError(
            f"{folder}: no {kind}.jsonl or {kind}.parquet; see `mixling data --help` for the folder's form"
        )
    yield from ((path, line, row) for line, row in read_rows(path, skipped))


def _id(row: dict, path: Path, line: int, seen: dict, twice: set[str]) -> str:
    key = id_text(row, ("_id", "id"), path, line)
    if key in seen:
        twice.add(key)
        raise BadRow(path, line, "_id", key, "an id not used before", "rename one of the two rows")
    return key


def _language(row: dict, fallback: str | None, path: Path, line: int) -> str:
    written = first_known_language(row.get("language"), row.get("lang"), fallback)
    if written is None:
        raise BadRow(
            path,
            line,
            "language",
            row.get("language"),
            "a BCP-47 tag",
            "add the column, or give `language` for all rows",
        )
    return language_field(written, "language", path, line)


def folder_splits(folder: Path) -> dict[str, Path]:
    """The splits of a folder by name, each with its file in qrels/."""
    found: dict[str, Path] = {}
    for path in sorted((folder / "qrels").glob("*")):
        kind = data_suffix(path)
        if kind in _TABLES:
            name = path.name[: path.name.lower().rindex(kind)]
            if name in found:
                raise MixlingError(
                    f"{folder}: qrels has {found[name].name} and {path.name}; keep the one that is meant"
                )
            found[name] = path
    return found


def _split(folder: Path, split: str | None) -> str:
    """The split that is meant. Raises MixlingError when it is not there."""
    names = list(folder_splits(folder))
    if not names:
        others = ", ".join(sorted(p.name for p in (folder / "qrels").glob("*"))[:10])
        raise MixlingError(
            f"{folder}: no qrels/<split>.tsv; write query-id, corpus-id and score there"
            + (f" (there are: {others})" if others else "")
        )
    if split is None:
        split = names[0] if len(names) == 1 else "train"
    if split not in names:
        raise MixlingError(f"{folder}: no split '{split}'; there are: {', '.join(names)}")
    return split


def _table_of(folder: Path, kind: str, split: str) -> Path | None:
    return find_file(folder / kind, *(f"{split}{end}" for end in _TABLES))


def iter_judgments(
    path: Path | None, skipped: Skipped
) -> Iterator[tuple[Path, int, str, str, int]]:
    """File, line, query id, document id and grade of each line of a table of judgements: three columns as BEIR has them (with
    or without a header), or TREC's four (qid, 0, docid, grade); tabs between, or spaces where a line has no tab. Also rows of
    JSON, CSV or Parquet with fields query-id, corpus-id, score."""
    if path is None:
        return
    if data_suffix(path) in ROWS and data_suffix(path) not in _TEXT:
        for line, row in read_rows(path, skipped):
            try:
                query, document = (id_text(row, (x, x.replace("-", "_")), path, line) for x in _IDS)
                yield (
                    path,
                    line,
                    query,
                    document,
                    grade_value(row.get("score"), "score", path, line),
                )
            except BadRow as bad:
                skipped(bad)
        return
    for line, text in table_lines(path):
        parts = text.split("\t") if "\t" in text else text.split()
        if line == 1 and _is_header(parts):
            continue
        if len(parts) != 3 and not (len(parts) == 4 and parts[1].strip() in ("0", "Q0")):
            fix = "three columns with tabs between (or TREC's four: qid 0 docid grade)"
            skipped(BadRow(path, line, "line", text.strip(), fix, "mend the line"))
            continue
        try:
            yield path, line, parts[0], parts[-2], grade_value(parts[-1], "score", path, line)
        except BadRow as bad:
            skipped(bad)


def _is_header(parts: list[str]) -> bool:
    return (
        parts[0].strip().lower().replace("_", "-") in _HEADERS and not parts[-1].strip().isdigit()
    )


def _lines(
    folder: Path, kind: str, split: str, types: tuple[type, ...], skipped: Skipped
) -> Iterator[tuple[Path, int, tuple]]:
    """(query-id, corpus-id, numbers of these types …) of each line of KIND/SPLIT.tsv; further columns are not read."""
    path = _table_of(folder, kind, split)
    if path is None:
        return
    for line, text in table_lines(path):
        parts = text.split("\t")
        if line == 1 and _is_header(parts):
            continue
        if len(parts) < 2 + len(types):
            columns = ("two", "three", "four")[len(types)]
            fix = f"{columns} columns with tabs between"
            skipped(BadRow(path, line, "line", text.strip(), fix, "mend the line"))
            continue
        try:
            numbers = [kind_of(x) for kind_of, x in zip(types, parts[2:], strict=False)]
            if not all(abs(x) < 2**31 for x in numbers):  # nor NaN or infinity
                raise ValueError
        except ValueError:
            found = "\t".join(parts[2:])
            skipped(BadRow(path, line, "start, end", found, "a number", "mend the line"))
            continue
        yield path, line, (parts[0], parts[1], *numbers)


def _linked(builder: CorpusBuilder) -> CorpusBuilder:
    """Leave out questions of other splits: those whose group has no passage in this one."""
    linked = {group for group, _ in builder.links}
    kept = [i for i, q in enumerate(builder.queries) if q[3] in linked]
    new = {old: i for i, old in enumerate(kept)}
    builder.queries = [builder.queries[i] for i in kept]
    builder.negatives = {(new[q], p): None for q, p in builder.negatives if q in new}
    return builder
