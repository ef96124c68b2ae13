"""Encodes collections, and the known items that are made of them, for `studies.collection_fit`.

    python -m studies.collection_vectors ENCODER COLLECTION... --vectors FOLDER

Writes a file for each collection into FOLDER, outside of the project. A collection is a task, or a
file of documents with `group` (`studies.audit_collections`); its queries are those of
NAME.queries.jsonl, or else titles.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixling.auditing.pool import Rows
from mixling.auditing.queries import MadeQueries, make_queries
from mixling.corpora.catalog import load
from mixling.encoding.vectors import encode_cached
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.tasks import task_from_corpus
from mixling.models.encoders import load_encoder
from mixling.models.identify import identify_language
from mixling.models.universal import LANGUAGES, NAME

SIB_LANGUAGES = (
    "en", "de", "fr", "es", "ru", "zh", "ar", "hi", "ja", "ko", "th", "tr", "vi", "sw", "am", "ha",
    "yo", "ig", "km", "om", "eu", "bn", "ta", "my", "ne",
)  # fmt: skip
TICO_LANGUAGES = (
    "en", "ar", "bn", "fr", "hi", "id", "km", "ru", "sw", "ta", "zh", "am", "ha", "so", "zu", "rw",
    "ln", "om", "ti", "my",
)  # fmt: skip
MAX_ITEMS = 2500  # passages that known items are made of
MAX_CHARACTERS = 1500


@dataclass(frozen=True)
class Texts:
    """A collection: texts, languages and groups of queries and passages, and what is relevant."""

    queries: list[str]
    query_languages: np.ndarray
    query_groups: np.ndarray
    passages: list[str]
    titles: list[str]
    passage_languages: np.ndarray
    relevant: np.ndarray
    excluded: np.ndarray


def read_texts(name: str, encoder: str) -> Texts:
    """Read a collection, in the languages that the encoder knows."""
    allowed = set(LANGUAGES) if encoder == NAME else None
    if name.endswith(".jsonl"):
        return _documents(Path(name), allowed)
    if name in ("sib-200", "tico-19"):
        wanted = SIB_LANGUAGES if name == "sib-200" else TICO_LANGUAGES
        corpus = load(name, "test")
        wanted = [x for x in wanted if x in corpus.languages() and (not allowed or x in allowed)]
        task = task_from_corpus(load(name, "test", languages=wanted), "passage", name=name)
    else:
        task = load_task(name)
    languages = np.array(task.languages)
    query, passage = languages[task.query_language], languages[task.passage_language]
    keep_q = np.array([not allowed or x in allowed for x in query])
    keep_p = np.array([not allowed or x in allowed for x in passage])
    new_q, new_p = np.cumsum(keep_q) - 1, np.cumsum(keep_p) - 1
    rows = task.relevant[keep_q[task.relevant[:, 0]] & keep_p[task.relevant[:, 1]]]
    excluded = np.full(len(query), -1) if task.excluded is None else task.excluded
    excluded = np.where((excluded >= 0) & keep_p[excluded], new_p[excluded], -1)
    return Texts(
        [x for x, k in zip(task.queries, keep_q, strict=True) if k],
        query[keep_q],
        np.array(task.query_group)[keep_q],
        [x for x, k in zip(task.passages, keep_p, strict=True) if k],
        [x for x, k in zip(task.titles, keep_p, strict=True) if k],
        passage[keep_p],
        np.stack([new_q[rows[:, 0]], new_p[rows[:, 1]]], 1),
        excluded[keep_q],
    )


def _documents(path: Path, allowed: set[str] | None) -> Texts:
    """Documents of a file, and the queries that ask for the documents of their group.

    They are those of NAME.queries.jsonl; without such a file, titles that one page has alone.
    """
    rows = _rows(path, allowed)
    texts, bodies, of_query = [], [row["text"] for row in rows], []
    judged = path.with_suffix(".queries.jsonl")
    if judged.exists():
        found = _rows(judged, allowed)
        texts, query_groups = [x["text"] for x in found], [x["group"] for x in found]
        of_query = [x["language"] for x in found]
    else:
        keys = ("_id", "language", "group", "title", "text")
        made = make_queries(Rows(*([row[k] for row in rows] for k in keys)))
        texts, bodies = made.texts, made.bodies
        query_groups = [rows[i]["group"] for i in made.rows]
        of_query = [rows[i]["language"] for i in made.rows]
    places: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        places.setdefault(row["group"], []).append(i)
    pairs = [(i, p) for i, group in enumerate(query_groups) for p in places.get(group, [])]
    return Texts(
        texts,
        np.array(of_query),
        np.array(query_groups),
        bodies,
        [""] * len(rows),
        np.array([row["language"] for row in rows]),
        np.array(pairs),
        np.full(len(texts), -1),
    )


def _rows(path: Path, allowed: set[str] | None) -> list[dict]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [x for x in rows if not allowed or x["language"] in allowed]


def embed(name: str, encoder_name: str, folder: Path) -> None:
    """Encode a collection and its known items."""
    label = Path(name).stem
    path = folder / f"{encoder_name.split('/')[-1]}--{label}.npz"
    if path.exists():
        content = dict(np.load(path))
        if "item_type" not in content:  # of an earlier version
            texts = read_texts(name, encoder_name)
            codes = sorted({*texts.passage_languages.tolist(), *texts.query_languages.tolist()})
            made = _make_queries(texts, content["item_rows"])
            content |= {"item_type": "" if made is None else made.name}
            np.savez(path, **{**content, **_identify(texts.queries, codes)})
        return
    texts, encoder, start = read_texts(name, encoder_name), load_encoder(encoder_name), time.time()
    passages = [x[:MAX_CHARACTERS] for x in texts.passages]
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(passages))[:MAX_ITEMS])
    made = _make_queries(texts, chosen)

    def encode(batch, role, titles=None):
        cache = folder / "cache"
        return encode_cached(encoder, batch, role, titles=titles, folder=cache)[0]

    content = {
        "queries": encode(texts.queries, "query"),
        "passages": encode(passages, "passage", texts.titles),
        "query_languages": texts.query_languages,
        "passage_languages": texts.passage_languages,
        "query_groups": texts.query_groups,
        "relevant": texts.relevant,
        "excluded": texts.excluded,
        "item_rows": chosen,
        "item_type": "" if made is None else made.name,
        **_identify(
            texts.queries,
            sorted({*texts.passage_languages.tolist(), *texts.query_languages.tolist()}),
        ),
    }
    if made is not None and len(made.rows) >= 200:
        content["item_query_rows"] = made.rows
        content["item_queries"] = encode(made.texts, "query")
        content["item_passages"] = encode(made.bodies, "passage")
    np.savez(path, **content)
    print(path.name, len(texts.queries), len(passages), f"{time.time() - start:.0f} s", flush=True)


def _make_queries(texts: Texts, chosen: np.ndarray) -> MadeQueries | None:
    """Titles, first sentences or halves of some passages."""
    part, n = [texts.passages[i][:MAX_CHARACTERS] for i in chosen], len(chosen)
    ids, languages = [str(i) for i in chosen], texts.passage_languages[chosen].tolist()
    return make_queries(Rows(ids, languages, [""] * n, [""] * n, part))


def _identify(queries: list[str], codes: list[str]) -> dict[str, np.ndarray]:
    """The language of each query as it is identified, and its probability."""
    found = [identify_language(text, tuple(codes)) for text in queries]
    return {
        "identified": np.array([code for code, _ in found]),
        "probability": np.array([x for _, x in found], np.float32),
        "characters": np.array([len(x) for x in queries]),
    }


def main() -> None:
    """Encode collections."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("encoder")
    parser.add_argument("collections", nargs="+")
    parser.add_argument("--vectors", type=Path, required=True)
    given = parser.parse_args()
    given.vectors.mkdir(parents=True, exist_ok=True)
    for name in given.collections:
        embed(name, given.encoder, given.vectors)


if __name__ == "__main__":
    main()
