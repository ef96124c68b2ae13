"""Texts as vectors, to fit a debiasing method on: queries, passages, and which answers which.

An embedded corpus comes from a corpus and an encoder, or from Parquet files with columns `vector`,
`language`, `group` and `role` ("query" or "passage"). Rows of one group are a query, its
translations, and its answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import read_parquet
from mixling.corpora.languages import language_field
from mixling.corpora.windows import link_titles, link_windows
from mixling.errors import MixlingError, check_finite_vectors

Encode = Callable[[list[str], str, list[str | None] | None], np.ndarray]
COLUMNS = ("vector", "language", "group", "role")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedCorpus:
    """A corpus whose texts are vectors.

    Args:
        corpus: The languages, groups and links of the texts.
        queries: float32 `[n_queries, dim]`, vectors of the corpus's queries.
        passages: float32 `[n_links, dim]`, for each link the vector of the linked passage, or of
            a window round the answer in it.
        bitext: Whether queries and passages are the same texts, sentences and their translations.
    """

    corpus: Corpus
    queries: np.ndarray
    passages: np.ndarray
    bitext: bool = False

    def __repr__(self) -> str:
        return (
            f"EmbeddedCorpus({self.corpus.name!r}, queries={len(self.queries)}, "
            f"passages={len(self.passages)}, dim={self.queries.shape[1]}, bitext={self.bitext})"
        )

    def query_language(self) -> np.ndarray:
        """Return the language of each query, str `[n_queries]`."""
        return np.array(self.corpus.queries["language"].to_pylist())

    def passage_language(self) -> np.ndarray:
        """Return the language of each linked passage, str `[n_links]`."""
        language = np.array(self.corpus.passages["language"].to_pylist())
        return np.asarray(language[self.corpus.links["passage"].to_numpy()])

    def languages(self) -> list[str]:
        """Return the languages of all texts, sorted."""
        return self.corpus.languages()

    def has_translations(self) -> bool:
        """Return whether a group has linked passages in two languages."""
        groups = self.corpus.links["group"].to_pylist()
        return len(set(zip(groups, self.passage_language().tolist(), strict=True))) > len(
            set(groups)
        )


def embed_corpus(
    corpus: Corpus, encode: Encode, bitext: bool, width: int = 600, texts: int | None = None
) -> EmbeddedCorpus:
    """Encode a corpus.

    Args:
        corpus: The corpus.
        encode: Called as `encode(texts, role, titles)`; returns float32 `[n, dim]`.
        bitext: Whether the corpus is sentences and their translations.
        width: Characters of the window of a passage round its answer.
        texts: Take so many query groups only, those in most languages before others.

    Returns:
        The corpus with its vectors.
    """
    if texts is not None:
        corpus = first_groups(corpus, texts)
    return EmbeddedCorpus(
        corpus,
        encode(corpus.queries["text"].to_pylist(), "query", None),
        encode(link_windows(corpus, width), "passage", link_titles(corpus)),
        bitext,
    )


def first_groups(corpus: Corpus, groups: int) -> Corpus:
    """Select some query groups of a corpus, those in most languages before others.

    Args:
        corpus: The corpus.
        groups: Number of query groups.

    Returns:
        The queries of these groups, and the passages that any of them is linked to.
    """
    counts = corpus.queries.group_by("group", use_threads=False).aggregate(
        [("language", "count_distinct")]
    )
    order = np.argsort(-counts["language_count_distinct"].to_numpy(), kind="stable")[:groups]
    names = set(np.array(counts["group"].to_pylist())[order].tolist())
    linked = pc.is_in(corpus.links["group"], pa.array(sorted(names)))
    rows = corpus.links.filter(linked)["passage"].unique().to_numpy()
    group = corpus.passages["group"].take(pa.array(rows)).unique().to_pylist()
    return corpus.select(passage_groups=group)


def read_embedded(folder: Path) -> tuple[EmbeddedCorpus, list[Path]]:
    """Read an embedded corpus from Parquet files.

    Args:
        folder: A folder of *.parquet, or one file, with columns `vector`, `language`, `group` and
            `role`.

    Returns:
        The corpus, and the files in the order they were read.

    Raises:
        MixlingError: A file cannot be used, or a role has no row.
    """
    files = parquet_files(folder)
    builder = CorpusBuilder(folder.name)
    rows: dict[str, list[np.ndarray]] = {"query": [], "passage": []}
    size = 0
    for path in files:
        table, vector = read_vectors(path)
        size = size or vector.shape[1]
        if vector.shape[1] != size:
            raise MixlingError(
                f"{path}: the vectors have {vector.shape[1]} numbers, but those before have "
                f"{size}. All vectors must come from one model."
            )
        for i, row in enumerate(table.to_pylist()):
            role, group = row["role"], str(row["group"])
            language = language_field(row["language"], "language", path, i + 1)
            key = f"{path.name}#{i}"
            if role == "query":
                builder.add_query(key, key, language, group)
            elif role == "passage":
                builder.add_link(group, builder.add_passage(key, key, language, group))
            else:
                raise MixlingError(
                    f"{path}:{i + 1}: field 'role': found {role!r}, expected query or passage; "
                    "correct the row"
                )
            rows[role].append(vector[i])
    if not rows["query"] or not rows["passage"]:
        raise MixlingError(
            f"{folder}: the rows do not have both roles. Expected rows with role query and rows "
            "with role passage."
        )
    return EmbeddedCorpus(
        builder.build(), np.stack(rows["query"]), np.stack(rows["passage"])
    ), files


def parquet_files(folder: Path) -> list[Path]:
    """List the Parquet files of a folder.

    Args:
        folder: A folder, or one file.

    Returns:
        The files, sorted by name.

    Raises:
        MixlingError: There is none.
    """
    files = sorted(folder.glob("*.parquet")) if folder.is_dir() else [folder]
    if not files or not all(f.exists() for f in files):
        raise MixlingError(
            f"{folder}: the folder has no Parquet files. Expected Parquet files with the columns "
            f"{', '.join(COLUMNS)}."
        )
    return files


def read_vectors(path: Path, needed: Sequence[str] = COLUMNS) -> tuple[pa.Table, np.ndarray]:
    """Read one Parquet file.

    Args:
        path: The file.
        needed: Columns that the file must have.

    Returns:
        The table without the column `vector`, and the vectors, float32 `[n, dim]`.

    Raises:
        MixlingError: The file cannot be read, lacks a column, or has vectors of different lengths
            or with NaN or infinity.
    """
    table = read_parquet(path, needed)
    values = table["vector"].combine_chunks()
    lengths = pc.unique(pc.list_value_length(values)).to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        raise MixlingError(
            f"{path}: column 'vector' has lists of different lengths: {lengths[:5]}. All vectors "
            "must come from one model."
        )
    with np.errstate(over="ignore"):
        flat = np.asarray(values.flatten()).astype(np.float32)
    vectors = check_finite_vectors(
        flat.reshape(len(table), lengths[0]), lambda i: f"row {i + 1}", str(path)
    )
    zero = np.flatnonzero(~vectors.any(axis=1))
    if len(zero):
        logger.warning(
            "%s: %s vectors are zero and so have no direction; the first is in row %d",
            path,
            f"{len(zero):,}",
            zero[0] + 1,
        )
    return table.drop_columns(["vector"]), vectors


def language_means(corpus: EmbeddedCorpus) -> tuple[list[str], np.ndarray]:
    """Compute the mean vector of each language in each role.

    Args:
        corpus: Texts as vectors.

    Returns:
        The languages, and float64 `[2, n_languages, dim]` for queries (0) and passages (1); NaN
        where a language has no text in a role.
    """
    languages = corpus.languages()
    means = np.full((2, len(languages), corpus.queries.shape[1]), np.nan)
    roles = (
        (corpus.queries, corpus.query_language()),
        (corpus.passages, corpus.passage_language()),
    )
    for role, (vectors, language) in enumerate(roles):
        for i, code in enumerate(languages):
            rows = vectors[language == code]
            if len(rows):
                means[role, i] = rows.mean(0, dtype=np.float64)
    return languages, means


def all_vectors(corpora: Sequence[EmbeddedCorpus]) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of all queries and passages.

    Args:
        corpora: Texts as vectors.

    Returns:
        Vectors, float32 `[n, dim]`, and their languages, str `[n]`.
    """
    vectors = [v for c in corpora for v in (c.queries, c.passages)]
    languages = [x for c in corpora for x in (c.query_language(), c.passage_language())]
    return np.concatenate(vectors), np.concatenate(languages)


def concatenate(corpora: Sequence[EmbeddedCorpus]) -> EmbeddedCorpus:
    """Join several corpora into one. Groups of different corpora stay apart.

    Args:
        corpora: One corpus or more, all of one model.

    Returns:
        One corpus, which is bitext where all are.
    """
    if len(corpora) == 1:
        return corpora[0]
    queries, passages, links, first_row = [], [], [], 0
    for number, c in enumerate(corpora):
        tables = [c.corpus.queries, c.corpus.passages, c.corpus.links]
        for i, table in enumerate(tables):
            column = table.column_names.index("group")
            names = pc.binary_join_element_wise(
                str(number), pc.cast(table["group"], pa.string()), ":"
            )
            tables[i] = table.set_column(column, "group", names)
        linked = pa.array(tables[2]["passage"].to_numpy() + first_row)
        tables[2] = tables[2].set_column(1, "passage", linked)
        first_row += len(tables[1])
        queries.append(tables[0])
        passages.append(tables[1])
        links.append(tables[2])
    corpus = Corpus(
        "+".join(c.corpus.name for c in corpora),
        pa.concat_tables(queries),
        pa.concat_tables(passages),
        pa.concat_tables(links),
    )
    return EmbeddedCorpus(
        corpus,
        np.concatenate([c.queries for c in corpora]),
        np.concatenate([c.passages for c in corpora]),
        all(c.bitext for c in corpora),
    )


def parallel_subset(corpus: EmbeddedCorpus, minimum: int = 20) -> EmbeddedCorpus:
    """Select the texts of groups that have every language.

    Where subjects differ by language, the means of languages differ by subject as well, and a
    transform would remove that too. Texts that say the same in all languages have no such trouble.

    Args:
        corpus: Texts as vectors.
        minimum: Number of such groups that suffices.

    Returns:
        The texts of these groups; all texts where there are fewer than `minimum`.
    """
    query_group, query_language = (
        np.array(corpus.corpus.queries[c].to_pylist()) for c in ("group", "language")
    )
    link_group = np.array(corpus.corpus.links["group"].to_pylist())
    group = np.concatenate([query_group, link_group])
    language = np.concatenate([query_language, corpus.passage_language()])
    pairs = set(zip(group.tolist(), language.tolist(), strict=True))
    names, count = np.unique([g for g, _ in pairs], return_counts=True)
    complete = names[count == len(corpus.languages())]
    if len(complete) < minimum:
        return corpus
    queries, links = np.isin(query_group, complete), np.isin(link_group, complete)
    selected = Corpus(
        corpus.corpus.name,
        corpus.corpus.queries.filter(pa.array(queries)),
        corpus.corpus.passages,
        corpus.corpus.links.filter(pa.array(links)),
    )
    return EmbeddedCorpus(selected, corpus.queries[queries], corpus.passages[links], corpus.bitext)


def texts_in_all_languages(corpora: Sequence[EmbeddedCorpus]) -> EmbeddedCorpus:
    """Return the texts that most methods compare languages on.

    Args:
        corpora: Texts as vectors, one corpus for each source.

    Returns:
        The bitext, joined; without bitext, the groups that have every language.
    """
    bitext = [c for c in corpora if c.bitext]
    return concatenate(bitext) if bitext else parallel_subset(concatenate(corpora))
