"""Sets of sentences in many languages (TICO-19, SIB-200); a sentence looks for its translations."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.corpora.corpus import LINKS, PASSAGES, QUERIES, Corpus
from mixling.corpora.files import read_parquet, read_text
from mixling.corpora.languages import language_tag
from mixling.corpora.source import Download, Languages, Source, parse_languages
from mixling.errors import BadRowError, MixlingError

SIB_COMMIT = "e7a172159963fd28c65f1ea53a0cea931bd08719"


def parallel_corpus(
    name: str, groups: Iterable[str], languages: Iterable[str], texts: Iterable[str]
) -> Corpus:
    """Return a corpus in which every text is a query and a passage.

    Args:
        name: The name of the corpus.
        groups: The group of each text; texts of one group are translations of each other.
        languages: The BCP-47 tag of each text.
        texts: The texts.
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
    return Corpus(name, queries, passages, links)


def _read_columns(path: Path, *columns: str) -> pa.Table:
    """Read columns of a Parquet file as text; raise MixlingError if a value is missing."""
    table = read_parquet(path, columns).select(columns)
    for i, column in enumerate(columns):
        if table[column].null_count:
            raise MixlingError(
                f"{path}: column '{column}' is empty in {table[column].null_count} rows; fill it"
            )
        table = table.set_column(i, column, pc.cast(table[column], pa.string()))
    lengths = pc.utf8_length(pc.utf8_trim_whitespace(table["text"]))
    empty = pc.sum(pc.equal(lengths, 0)).as_py()
    if empty:
        raise MixlingError(
            f"{path}: column 'text' is empty in {empty} rows; drop those sentences everywhere"
        )
    return table


def is_test_document(document: str) -> bool:
    """Return whether a document of TICO-19 belongs to test: about a third, chosen by a hash."""
    return hashlib.sha256(document.encode()).digest()[0] % 3 == 0


def read_tico(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read TICO-19 from one Parquet table.

    Documents are split as wholes, because neighboring segments share text.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages; None: all.
        skip_bad: Not used: a table with a missing value is refused.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
    """
    table = _read_columns(folder / "tico-19.parquet", "id", "document", "language", "text")
    rows = table.to_pandas()
    if split != "all":
        in_split = {
            d: is_test_document(str(d)) == (split == "test") for d in rows["document"].unique()
        }
        rows = rows[rows["document"].map(in_split).astype(bool)]
    return parallel_corpus("tico-19", rows["id"], map(language_tag, rows["language"]), rows["text"])


def read_sib(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read SIB-200 from one Parquet table, or from the published files <code>/<split>.tsv.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages; None: all.
        skip_bad: Not used: a table with a missing value is refused.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row of a published file has no text.
    """
    if not (folder / "sib-200.parquet").exists() and any(folder.glob("**/*_*/*.tsv")):
        return _read_published_sib(folder, split)
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


def _read_published_sib(folder: Path, split: str) -> Corpus:
    """Read SIB-200's published tables with the columns index_id, category and text."""
    groups, languages, texts = list[str](), list[str](), list[str]()
    for path in sorted(folder.glob(f"**/*_*/{'*' if split == 'all' else split}.tsv")):
        for line, row in enumerate(csv.DictReader(io.StringIO(read_text(path)), delimiter="\t"), 2):
            key, text = row.get("index_id"), row.get("text") or ""
            if not key or not text.strip():
                expected, fix = (
                    "columns index_id, category, text, none empty",
                    "fetch the set again",
                )
                raise BadRowError(path, line, "text", row, expected, fix)
            groups.append(key)
            languages.append(language_tag(path.parent.name))
            texts.append(text)
    if not texts:
        raise MixlingError(f"{folder}: no file like eng_Latn/{split}.tsv; fetch the set again")
    return parallel_corpus("sib-200", groups, languages, texts)


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
    "tico-19.github.io, as one Parquet table (id, document, language, text)",
    read_tico,
    "tico-19",
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
    "github.com/dadelani/sib-200, folder data/annotated (or one Parquet table: language, split, "
    "index_id, category, text)",
    read_sib,
    "sib-200",
    downloads=(
        Download(
            f"https://github.com/dadelani/sib-200/archive/{SIB_COMMIT}.zip",
            f"sib-200-{SIB_COMMIT}/data/annotated",
        ),
    ),
    counts={"test": (41820, 41820), "dev": (99 * 205, 99 * 205), "train": (701 * 205, 701 * 205)},
    parallel=True,
    pivot="en",
)
