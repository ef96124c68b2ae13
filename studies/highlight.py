"""Compare ways to name the sentence that answers: `python -m studies.highlight CACHE`.

For each question and each passage that answers it, in every pair of their languages, a way chooses
one sentence of the passage. It is right if the answer begins there. MLQA's development part is the
development data, on which the ways were compared and `TERMS_WEIGHT` was chosen. XQuAD-R is the
test; every fourth question of it is asked. CACHE is a folder for the vectors. highlight.json holds
a row for each set and way; `--cost` adds what storing and choosing costs.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mixling.corpora.catalog import load
from mixling.corpora.files import write_text
from mixling.corpora.sentences import sentence_spans
from mixling.disk import new_file
from mixling.encoding.vectors import normalize_for_similarity
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.span_vectors import encode_with_spans
from mixling.models.weights import DEFAULT
from mixling.searching.folding import query_terms
from mixling.searching.sentences import (
    TERMS_WEIGHT,
    nearest_sentence,
    pack_sentences,
    shared_terms,
    unpack_sentences,
)

RESULT = Path(__file__).with_suffix(".json")
SETS = {"MLQA dev": ("mlqa", "dev"), "XQuAD-R": ("xquad-r", "test")}
EVERY = {"MLQA dev": 1, "XQuAD-R": 4}  # question groups that are asked: one in so many
WEIGHTS = (0.5, 1.0, 2.0, 4.0)
TODAY = "each sentence encoded"
LATE = "from the passage's pass"


def encoded(name: str, cache: Path) -> dict[str, Any]:
    """Return passages, their sentences, queries and all vectors of a set; encode them once."""
    path = cache / f"{name.replace(' ', '-')}.pkl"
    if path.exists():
        with path.open("rb") as stream:
            content: dict[str, Any] = pickle.load(stream)
        return content
    corpus, retriever = load(*SETS[name]), Retriever(DEFAULT)
    passages, queries = corpus.passages.to_pydict(), corpus.queries.to_pydict()
    texts, languages, titles = (passages[x] for x in ("text", "language", "title"))
    spans = [sentence_spans(*pair) for pair in zip(texts, languages, strict=True)]
    encode = partial(retriever.encode, precision="bf16")
    vectors, late = encode_with_spans(
        retriever, texts, "passage", spans, titles=titles, languages=languages, precision="bf16"
    )
    sentences = [t[b:e] for t, s in zip(texts, spans, strict=True) for b, e in s]
    tags = [x for x, s in zip(languages, spans, strict=True) for _ in s]
    content = {
        "texts": texts,
        "langs": languages,
        "spans": spans,
        "v": vectors,
        "late": late,
        "enc": encode(sentences, "passage", languages=tags),
        "q": encode(queries["text"], "query", languages=queries["language"]),
        "Q": queries,
        "links": corpus.links.to_pydict(),
    }
    with new_file(path) as temporary, temporary.open("wb") as stream:
        pickle.dump(content, stream)
    return content


def choices(content: dict[str, Any], weights: tuple[float, ...], every: int) -> dict[str, Any]:
    """Return what each way chooses, int64 `[n]`, for n pairs of a question and a passage."""
    retriever = Retriever(DEFAULT)
    scaled = partial(normalize_for_similarity, retriever)
    ends = np.cumsum([len(s) for s in content["spans"]])[:-1]
    separate = np.split(scaled(content["enc"]), ends)
    queries, vectors = content["Q"], scaled(content["q"])
    asked: dict[str, list[int]] = {}
    for i, group in enumerate(queries["group"]):
        asked.setdefault(group, []).append(i)
    terms = [[x.removeprefix("_") for x in query_terms(t)] for t in queries["text"]]
    columns: dict[str, list[Any]] = {}
    links = content["links"]
    wanted = set(sorted(set(links["group"]))[::every])
    for group, p, start in zip(links["group"], links["passage"], links["start"], strict=True):
        spans, text = content["spans"][p], content["texts"][p]
        answer = next((i for i, (b, e) in enumerate(spans) if b <= start < e), None)
        if len(spans) < 2 or answer is None or group not in wanted:
            continue
        stored = unpack_sentences(pack_sentences(spans, content["late"][p]))[1]
        int8 = unpack_sentences(pack_sentences(spans, separate[p]))[1]
        texts = [text[b:e] for b, e in spans]
        for i in asked[group]:
            shared = shared_terms(texts, terms[i])
            late = stored @ vectors[i]
            none = np.zeros(len(spans))
            lexical = nearest_sentence(shared, None)
            row: dict[str, Any] = {
                "language": content["langs"][p],
                "same": queries["language"][i] == content["langs"][p],
                "answer": answer,
                TODAY: int((separate[p] @ vectors[i]).argmax()),
                f"{TODAY}, int8": int((int8 @ vectors[i]).argmax()),
                f"{LATE}, int8": nearest_sentence(none, late),
                "shared terms": -1 if lexical is None else lexical,
                "the first": 0,
            }
            for weight in weights:
                name = f"{LATE}, int8, and shared terms ({weight:g})"
                row[name] = nearest_sentence(shared * weight / TERMS_WEIGHT, late)
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in columns.items()}


def rows_of(name: str, content: dict[str, Any], weights: tuple[float, ...]) -> list[dict[str, Any]]:
    """Return a row for each way: how often it is right, and how often it agrees with today's."""
    found = choices(content, weights, EVERY[name])
    language, same, answer = (found.pop(x) for x in ("language", "same", "answer"))
    rows = []
    for way, chosen in found.items():
        right, agrees = chosen == answer, chosen == found[TODAY]
        rows.append(
            {
                "set": name,
                "way": way,
                "pairs": len(answer),
                "right, same language": float(right[same].mean()),
                "right, other language": float(right[~same].mean()),
                "agrees, same language": float(agrees[same].mean()),
                "agrees, other language": float(agrees[~same].mean()),
                "named": float((chosen >= 0).mean()),
                "right by passage language": {
                    str(x): float(right[language == x].mean()) for x in np.unique(language)
                },
            }
        )
    return rows


def main() -> None:
    """Measure both sets, or what it costs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path, help="folder of vectors")
    parser.add_argument("--cost", action="store_true", help="measure times and sizes instead")
    arguments = parser.parse_args()
    result: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    about = {"machine": machine_info(), "versions": library_versions()}
    if arguments.cost:
        result["cost"] = {**cost(), **about}
    else:
        result["rows"] = [
            row
            for name in SETS
            for row in rows_of(
                name,
                encoded(name, arguments.cache),
                WEIGHTS if name == "MLQA dev" else (TERMS_WEIGHT,),
            )
        ]
        result["about"] = about
    write_text(RESULT, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def cost() -> dict[str, Any]:
    """Measure indexing with and without sentences, the store's size, and a search's highlighting.

    The two indexings take turns, three times each; the least time counts.
    """
    from mixling.searching import lance
    from mixling.searching.index import index
    from mixling.searching.query import Searcher

    retriever = Retriever(DEFAULT)
    corpus = load("xquad-r", "test")
    passages = corpus.passages.to_pydict()
    chosen = [i for i, x in enumerate(passages["language"]) if x in ("en", "de", "zh")][::6]
    plain_schema = lance.passage_schema
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "d.jsonl"
        rows = [
            {"_id": str(i), "text": passages["text"][i], "language": passages["language"][i]}
            for i in chosen
        ]
        source.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
        seconds: dict[str, list[float]] = {"without": [], "with": []}
        sizes = {}
        for _ in range(3):
            for side in seconds:
                store = Path(folder) / side
                shutil.rmtree(store, ignore_errors=True)
                if side == "without":
                    lance.passage_schema = lambda dimensions, _: plain_schema(dimensions)
                start = time.perf_counter()
                index(retriever, source, str(store), precision="fp32")
                seconds[side].append(time.perf_counter() - start)
                lance.passage_schema = plain_schema
                sizes[side] = sum(x.stat().st_size for x in store.rglob("*") if x.is_file())
        searcher = Searcher(f"{folder}/with", retriever)
        question = corpus.queries["text"][5].as_py()
        vectors = retriever.encode([question], "query", precision="fp32")
        times: dict[str, list[float]] = {"off": [], "on": [], "encoding the sentences": []}
        hits = searcher.search_vectors([question], vectors, highlight=False)
        sentences = [
            hit.text[b:e] for hit in hits for b, e in sentence_spans(hit.text, hit.language)
        ]
        for _ in range(30):
            for name, highlight in (("off", False), ("on", True)):
                start = time.perf_counter()
                searcher.search_vectors([question], vectors, highlight=highlight)
                times[name].append(1000 * (time.perf_counter() - start))
        for _ in range(3):
            start = time.perf_counter()
            retriever.encode(sentences, "passage", precision="fp32")
            times["encoding the sentences"].append(1000 * (time.perf_counter() - start))
        count = searcher.store.info["passages"]
    return {
        "passages": count,
        "sentences of ten hits": len(sentences),
        "seconds of indexing": {k: min(v) for k, v in seconds.items()},
        "bytes of the store": sizes,
        "bytes a passage more": (sizes["with"] - sizes["without"]) / count,
        "ms of a search whose vector is known": {k: float(np.median(v)) for k, v in times.items()},
    }


if __name__ == "__main__":
    main()
