"""Sets of sentences in many languages (TICO-19, SIB-200); a sentence looks for its translations."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.corpora.corpus import LINKS, PASSAGES, QUERIES, Corpus
from mixling.corpora.files import read_parquet, read_text, table_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.published_files import find_published
from mixling.corpora.source import (
    Download,
    Files,
    Languages,
    Repository,
    Source,
    is_wanted,
    parse_languages,
    require_languages,
)
from mixling.corpora.values import text_field
from mixling.errors import BadRowError, MixlingError, Skipped

SIB_COMMIT = "e7a172159963fd28c65f1ea53a0cea931bd08719"
_SIB_HOW_TO_GET = (
    "github.com/dadelani/sib-200, folder data/annotated (or one Parquet table: language, split, "
    "index_id, category, text)"
)
_TICO_HOW_TO_GET = (
    "tico19-testset.zip of tico-19.github.io, or hub gmnlp/tico19 (or one Parquet table: id, "
    "document, language, text)"
)
# codes in the names of TICO-19's files that are no tags: Latin American Spanish, Tagalog, Dari, …
_TICO_CODES = ("es-LA", "tl", "prs", "ti_ER", "ti_ET")


def parallel_corpus(
    name: str,
    groups: Iterable[str],
    languages: Iterable[str],
    texts: Iterable[str],
    skipped: Iterable[Exception] = (),
) -> Corpus:
    """Return a corpus in which every text is a query and a passage.

    Args:
        name: The name of the corpus.
        groups: The group of each text; texts of one group are translations of each other.
        languages: The BCP-47 tag of each text.
        texts: The texts.
        skipped: The errors of rows that the reader skipped.
    """
    group, language, text = (pa.array(list(x), pa.string()) for x in (groups, languages, texts))
    n = len(text)
    queries = pa.table([group, text, language, group], schema=QUERIES)
    passages = pa.table(
        [
            group,
            text,
            language,
            group,
            pa.nulls(n, pa.string()),
            pa.nulls(n, PASSAGES.field("sentences").type),
        ],
        schema=PASSAGES,
    )
    unknown = pa.nulls(n, pa.int32())
    grades = pa.array(np.ones(n, np.int32))
    links = pa.table([group, pa.array(np.arange(n)), unknown, unknown, grades], schema=LINKS)
    return Corpus(name, queries, passages, links, tuple(str(s) for s in skipped))


def _read_columns(path: Path, *columns: str) -> pa.Table:
    """Read columns of a Parquet file as text; raise MixlingError if a value is missing."""
    table = read_parquet(path, columns).select(columns)
    for i, column in enumerate(columns):
        if table[column].null_count:
            raise MixlingError(
                f"{path}: column '{column}' is empty in {table[column].null_count} rows. Fill "
                "these rows."
            )
        table = table.set_column(i, column, pc.cast(table[column], pa.string()))
    lengths = pc.utf8_length(pc.utf8_trim_whitespace(table["text"]))
    empty = pc.sum(pc.equal(lengths, 0)).as_py()
    if empty:
        raise MixlingError(
            f"{path}: column 'text' is empty in {empty} rows. Remove these sentences in all "
            "languages."
        )
    return table


def is_test_document(document: str) -> bool:
    """Return whether a document of TICO-19 belongs to test: about a third, chosen by a hash."""
    return hashlib.sha256(document.encode()).digest()[0] % 3 == 0


def read_tico(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read TICO-19 from one Parquet table, or from the published files `test/test.en-XX.tsv`.

    Documents are split as wholes, because neighboring segments share text. The publisher's dev and
    test are another division; the files of both are read for each split here.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages; None: all.
        skip_bad: Skip rows of published files that cannot be used; a Parquet table with a missing
            value is refused.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read, or the files do not fit together.
        BadRowError: A row of a published file cannot be used, and `skip_bad` is False.
    """
    skipped = Skipped(skip_bad)
    if (folder / "tico-19.parquet").exists():
        columns = ("id", "document", "language", "text")
        table = _read_columns(folder / "tico-19.parquet", *columns)
        rows = list(zip(*(table[c].to_pylist() for c in columns), strict=True))
    else:
        rows = _read_published_tico(folder, languages, skipped)
    in_split = {
        document: split == "all" or is_test_document(document) == (split == "test")
        for document in {row[1] for row in rows}
    }
    kept = [row for row in rows if in_split[row[1]]]
    return parallel_corpus(
        "tico-19",
        [row[0] for row in kept],
        [language_tag(row[2]) for row in kept],
        [row[3] for row in kept],
        skipped.rows,
    )


def _read_published_tico(
    folder: Path, languages: Languages, skipped: Skipped
) -> list[tuple[str, str, str, str]]:
    """Return id, document, language and text of each segment, English last."""
    dev, test = (
        {p.name.split(".")[1].removeprefix("en-"): p for p in find_published(folder, pattern)}
        for pattern in ("dev.en-*.tsv", "test.en-*.tsv")
    )
    incomplete = sorted(dev.keys() ^ test.keys())
    if incomplete or not dev:
        code = incomplete[0] if incomplete else "fr"
        raise MixlingError(
            f"{folder}: expected both dev/dev.en-{code}.tsv and test/test.en-{code}.tsv, because "
            f"the splits are made of both. Get {_TICO_HOW_TO_GET}."
        )
    require_languages("tico-19", languages, sorted({"en", *map(language_tag, dev)}))
    wanted = [code for code in sorted(dev) if is_wanted(language_tag(code), languages)]
    english: dict[str, str] = {}
    translations = {
        # every file has the English segments
        code: _read_segments((dev[code], test[code]), english, skipped)
        for code in wanted or sorted(dev)[:1]
    }
    for code, segments in translations.items():
        missing = english.keys() - segments.keys()
        if missing and not skipped.rows:
            raise MixlingError(
                f"{folder}: the files of en-{code} lack {len(missing)} segments that others "
                f"have, such as {min(missing)}. Fetch the data set again."
            )
    if is_wanted("en", languages):
        translations["en"] = english
    return [
        (key, key.rpartition(":")[0], code, segments[key])
        for code, segments in translations.items()
        if code in wanted or code == "en"
        for key in sorted(segments, key=lambda k: int(k.rpartition(":")[2]))
    ]


def _read_segments(
    paths: Iterable[Path], english: dict[str, str], skipped: Skipped
) -> dict[str, str]:
    """Return the translations in files of one language by their ids, and collect the English."""
    segments: dict[str, str] = {}
    for path in paths:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter="\t")
        needed = ("stringID", "sourceString", "targetString")
        if not set(needed) <= set(reader.fieldnames or ()):
            raise BadRowError(
                path, 1, "header", reader.fieldnames, ", ".join(needed), "fetch the data set again"
            )
        for row in reader:
            try:
                key, source, target = (text_field(row, f, path, reader.line_num) for f in needed)
                if not re.fullmatch(r".+:\d+", key) or key in segments:
                    expected = "document:number, once in the files of a language"
                    raise BadRowError(
                        path, reader.line_num, "stringID", key, expected, "correct the id"
                    )
                known = english.setdefault(key, source)
                if known.split() != source.split():
                    raise BadRowError(
                        path,
                        reader.line_num,
                        "sourceString",
                        source,
                        f"the English of the other files: {known[:60]!r}",
                        "fetch the data set again",
                    )
            except BadRowError as bad:
                skipped(bad)
                continue
            segments[key] = target
    return segments


def _tico_files(split: str, languages: Languages) -> list[Files]:
    """Return the files that some languages need; the English text is in every file."""
    codes = {language_tag(code): code for code in _TICO_CODES}
    wanted = None if languages is None else [codes.get(x, x) for x in languages if x != "en"]
    return [
        Files(f"{part}/{part}.en-{code}.tsv", ("stringID", "sourceString", "targetString"))
        for part in ("dev", "test")
        for code in (["*"] if wanted is None else wanted or ["fr"])
    ]


def read_sib(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read SIB-200 from one Parquet table, or from the published files `<code>/<split>.tsv`.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages; None: all.
        skip_bad: Skip rows of published files that cannot be used; a Parquet table with a missing
            value is refused.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row of a published file cannot be used, and `skip_bad` is False.
    """
    if not (folder / "sib-200.parquet").exists():
        return _read_published_sib(folder, split, languages, Skipped(skip_bad))
    table = _read_columns(folder / "sib-200.parquet", "language", "split", "index_id", "text")
    rows = table.to_pandas()
    if split != "all":
        rows = rows[rows["split"] == split]
    return parallel_corpus(
        "sib-200",
        rows["index_id"].astype(str),
        map(language_tag, rows["language"]),
        rows["text"],
    )


def _read_published_sib(folder: Path, split: str, languages: Languages, skipped: Skipped) -> Corpus:
    """Read SIB-200's published tables. Quotation marks belong to the texts: nothing is quoted."""
    columns = ["index_id", "category", "text"]
    paths = find_published(folder, f"*_*/{'*' if split == 'all' else split}.tsv")
    if not paths:
        raise MixlingError(
            f"{folder}: the folder has neither sib-200.parquet nor a file like "
            f"eng_Latn/{split}.tsv. Get {_SIB_HOW_TO_GET}."
        )
    require_languages("sib-200", languages, [language_tag(path.parent.name) for path in paths])
    groups, tags, texts = list[str](), list[str](), list[str]()
    for path in paths:
        tag = language_tag(path.parent.name)
        if not is_wanted(tag, languages):
            continue
        for line, raw in table_lines(path):
            row = raw.split("\t")
            if line == 1 and row != columns:
                raise BadRowError(
                    path, 1, "header", row, ", ".join(columns), "fetch the data set again"
                )
            if len(row) != len(columns) or not all(x.strip() for x in row):
                expected = f"{', '.join(columns)}, none empty, with tabs between them"
                skipped(BadRowError(path, line, "text", row, expected, "fetch the data set again"))
            elif line > 1:
                groups.append(row[0])
                tags.append(tag)
                texts.append(row[2])
    return parallel_corpus("sib-200", groups, tags, texts, skipped.rows)


TICO = Source(
    "tico-19",
    "medical sentences in 38 languages; a sentence finds its translations",
    parse_languages(
        "ar bn ckb din en es-419 fa fa-AF fil fr fuv ha hi id km kr ku lg ln mr ms my ne nus om ps "
        "pt-BR ru rw so sw ta ti ti-ER ti-ET ur zh zu"
    ),
    ("test", "train", "all"),
    "CC0-1.0",
    "Anastasopoulos et al. 2020, arXiv:2007.01788",
    _TICO_HOW_TO_GET,
    read_tico,
    "tico-19",
    repositories=(
        Repository("gmnlp/tico19", _tico_files, "55d70dc0b1d1d0b2151c5e22815d823fedac3f2f"),
    ),
    counts={"all": (3071 * 38, 3071 * 38)},
    parallel=True,
    pivot="en",
)
SIB = Source(
    "sib-200",
    "news and wiki sentences in 205 languages; a sentence finds its translations",
    parse_languages(
        "ace ace-Arab acm-Arab acq-Arab aeb af ajp-Arab ak am apc ar ar-Latn ars ary arz as ast "
        "awa ay az azb-Arab ba ban be bem bg bho bjn bjn-Arab bm bn bo bs bug ca ceb cjk ckb "
        "crh-Latn cs cy da de din dyu dz ee el en eo es et eu fa fa-AF fi fil fj fo fon fr fur "
        "fuv ga gd gl gn gu ha he hi hne hr ht hu hy id ig ilo is it ja jv ka kab kac kam kbp kea "
        "kg ki kk km kmb kn ko kr kr-Arab ks ks-Deva ku ky lb lg li lij lmo ln lo lt ltg lua luo "
        "lus lv mag mai mg mi min min-Arab mk ml mn mni mos mr ms mt my nb ne nl nn nqo nso nus "
        "ny oc om or pa pag pap pbt-Arab pl pt quy rn ro ru rw sa sat sc scn sd sg shn si sk sl "
        "sm sn so sq sr ss st su sv sw szl ta taq taq-Tfng te tg th ti tk tn tpi tr ts tt tum tw "
        "tzm-Tfng ug uk umb ur uz vec vi war wo xh yi yo yue zh zh-Hant zu"
    ),
    ("test", "dev", "train", "all"),
    "CC-BY-SA-4.0",
    "Adelani et al. 2024, arXiv:2309.07445",
    _SIB_HOW_TO_GET,
    read_sib,
    "sib-200",
    downloads=(
        Download(
            f"https://github.com/dadelani/sib-200/archive/{SIB_COMMIT}.zip",
            f"sib-200-{SIB_COMMIT}/data/annotated",
            content="75cbcce1971fb23b9e9689bc92f76003a4b1b54a1b3d7250a9f973a8ceff77ac",
        ),
    ),
    counts={"test": (41820, 41820), "dev": (99 * 205, 99 * 205), "train": (701 * 205, 701 * 205)},
    parallel=True,
    pivot="en",
)
