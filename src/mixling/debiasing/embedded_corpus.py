"""Stored vectors to fit a map on: questions, passages, and which passage answers which question.

A stock is a corpus whose texts are vectors. It comes from a corpus and an encoder, or from Parquet files with
columns `vector`, `language`, `group` and `role` ("query" or "passage"): rows of one group are a question, its
translations, and its answers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.files import read_parquet
from mixling.corpora.languages import language_field
from mixling.corpora.windows import link_windows
from mixling.errors import MixlingError, check_finite_vectors

Encode = Callable[[list[str], str], np.ndarray]
COLUMNS = ("vector", "language", "group", "role")


@dataclass(frozen=True)
class EmbeddedCorpus:
    """questions: float32 [questions of the corpus, d]; passages: float32 [links of the corpus, d], the linked
    passage's vector (of a window round the answer); bitext: questions and passages are the same texts."""

    corpus: Corpus
    queries: np.ndarray
    passages: np.ndarray
    bitext: bool = False

    def query_language(self) -> np.ndarray:
        """Language of each question, str [n]."""
        return np.array(self.corpus.queries["language"].to_pylist())

    def passage_language(self) -> np.ndarray:
        """Language of each linked passage, str [n]."""
        language = np.array(self.corpus.passages["language"].to_pylist())
        return language[self.corpus.links["passage"].to_numpy()]

    def languages(self) -> list[str]:
        """Languages, sorted."""
        return self.corpus.languages()


def embed_corpus(
    corpus: Corpus, encode: Encode, bitext: bool, width: int = 600, texts: int | None = None
) -> EmbeddedCorpus:
    """Encode a corpus. encode(texts, role) -> float32 [n, d]; width: characters of a passage's window.

    texts: so many question groups only, the first of those that most languages have.
    """
    if texts is not None:
        corpus = first_groups(corpus, texts)
    return EmbeddedCorpus(
        corpus,
        encode(corpus.queries["text"].to_pylist(), "query"),
        encode(link_windows(corpus, width, titles=True), "passage"),
        bitext,
    )


def first_groups(corpus: Corpus, groups: int) -> Corpus:
    """The part of a corpus on its first `groups` question groups, those in most languages before others."""
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
    """The stock of all *.parquet in a folder, and the files."""
    files = parquet_files(folder)
    builder, rows = CorpusBuilder(folder.name), {"query": [], "passage": []}  # type: ignore[var-annotated]
    size = 0
    for path in files:
        table, vector = read_vectors(path)
        size = size or vector.shape[1]
        if vector.shape[1] != size:
            raise MixlingError(
                f"{path}: vectors of {vector.shape[1]} numbers, those before have {size}"
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
                    f"{path}:{i + 1}: field 'role': found {role!r}, expected query or passage"
                )
            rows[role].append(vector[i])
    if not rows["query"] or not rows["passage"]:
        raise MixlingError(f"{folder}: needs rows of both roles, query and passage")
    return EmbeddedCorpus(
        builder.build(), np.stack(rows["query"]), np.stack(rows["passage"])
    ), files


def parquet_files(folder: Path) -> list[Path]:
    """All *.parquet of a folder, or the one file that is given. Raises MixlingError when there is none."""
    files = sorted(folder.glob("*.parquet")) if folder.is_dir() else [folder]
    if not files or not all(f.exists() for f in files):
        raise MixlingError(
            f"{folder}: no Parquet files; give a folder of them with columns {', '.join(COLUMNS)}"
        )
    return files


def read_vectors(path: Path, needed: Sequence[str] = COLUMNS) -> tuple[pa.Table, np.ndarray]:
    """One file: its columns but the vector, and the vectors, float32 [n, d]. needed: columns that must be there."""
    table = read_parquet(path, needed)
    values = table["vector"].combine_chunks()
    lengths = pc.unique(pc.list_value_length(values)).to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        raise MixlingError(f"{path}: column 'vector' has lists of different lengths: {lengths[:5]}")
    with np.errstate(over="ignore"):
        flat = np.asarray(values.flatten()).astype(np.float32)
    made = check_finite_vectors(
        flat.reshape(len(table), lengths[0]), lambda i: f"row {i + 1}", str(path)
    )
    zero = np.flatnonzero(~made.any(axis=1))
    if len(zero):
        print(
            f"mixling: {path}: {len(zero):,} vectors are zero, the first in row {zero[0] + 1}; they have no direction",
            file=sys.stderr,
        )
    return table.drop_columns(["vector"]), made


def language_means(stock: EmbeddedCorpus) -> tuple[list[str], np.ndarray]:
    """Mean vector of each language in each role: float64 [2 roles, languages, d]; NaN where there is no text."""
    languages = stock.languages()
    found = np.full((2, len(languages), stock.queries.shape[1]), np.nan)
    pairs = ((stock.queries, stock.query_language()), (stock.passages, stock.passage_language()))
    for role, (vectors, of) in enumerate(pairs):
        for i, code in enumerate(languages):
            mine = vectors[of == code]
            if len(mine):
                found[role, i] = mine.mean(0, dtype=np.float64)
    return languages, found


def all_vectors(stocks: Sequence[EmbeddedCorpus]) -> tuple[np.ndarray, np.ndarray]:
    """All vectors, float32 [n, d], and their languages."""
    vectors = [v for s in stocks for v in (s.queries, s.passages)]
    languages = [x for s in stocks for x in (s.query_language(), s.passage_language())]
    return np.concatenate(vectors), np.concatenate(languages)


def concatenate(stocks: Sequence[EmbeddedCorpus]) -> EmbeddedCorpus:
    """Several stocks as one; groups of different stocks stay apart."""
    if len(stocks) == 1:
        return stocks[0]
    questions, passages, links, rows = [], [], [], 0
    for number, s in enumerate(stocks):
        tables = [s.corpus.queries, s.corpus.passages, s.corpus.links]
        for i, table in enumerate(tables):
            column = table.column_names.index("group")
            names = pc.binary_join_element_wise(
                str(number), pc.cast(table["group"], pa.string()), ":"
            )
            tables[i] = table.set_column(column, "group", names)
        moved = pa.array(tables[2]["passage"].to_numpy() + rows)
        tables[2] = tables[2].set_column(1, "passage", moved)
        rows += len(tables[1])
        questions.append(tables[0])
        passages.append(tables[1])
        links.append(tables[2])
    corpus = Corpus(
        "+".join(s.corpus.name for s in stocks),
        pa.concat_tables(questions),
        pa.concat_tables(passages),
        pa.concat_tables(links),
    )
    return EmbeddedCorpus(
        corpus,
        np.concatenate([s.queries for s in stocks]),
        np.concatenate([s.passages for s in stocks]),
        all(s.bitext for s in stocks),
    )


def parallel_subset(stock: EmbeddedCorpus, least: int = 20) -> EmbeddedCorpus:
    """The texts of groups that stand in every language, if there are `least` such groups; else all texts.

    Where subjects differ by language, the means of languages differ by subject as well, and a map would take that
    out too. What says the same in all languages has no such trouble.
    """
    asked, answered = (np.array(stock.corpus.queries[c].to_pylist()) for c in ("group", "language"))
    group = np.concatenate([asked, np.array(stock.corpus.links["group"].to_pylist())])
    language = np.concatenate([answered, stock.passage_language()])
    seen = set(zip(group.tolist(), language.tolist(), strict=True))
    names, count = np.unique([g for g, _ in seen], return_counts=True)
    whole = names[count == len(stock.languages())]
    if len(whole) < least:
        return stock
    questions = np.isin(asked, whole)
    links = np.isin(np.array(stock.corpus.links["group"].to_pylist()), whole)
    corpus = Corpus(
        stock.corpus.name,
        stock.corpus.queries.filter(pa.array(questions)),
        stock.corpus.passages,
        stock.corpus.links.filter(pa.array(links)),
    )
    return EmbeddedCorpus(corpus, stock.queries[questions], stock.passages[links], stock.bitext)
