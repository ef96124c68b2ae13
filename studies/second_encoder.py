"""Measure the second encoder through every door, and behind transforms of few sentences.

`use-multilingual-v3` stands for a closed model: it gives vectors and nothing else. It knows eight
of XQuAD-R's languages. The study measures it on them

1. through each door: its wheel, a Python function, an OpenAI-compatible address of this machine,
   vectors on disk (.npy and Parquet), and TREC runs. All must give the same figures;
2. behind transforms that are fitted on a few sentences of SIB-200 in the same languages, beside
   e5-small without and with its shipped transform. Options are chosen on development tasks;
3. by an audit of the paragraphs, without judgments.

Run `python -m studies.second_encoder`. It writes studies/second-encoder.json as it goes, and an
interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import mixling
from mixling.corpora.files import read_text, write_text
from mixling.debiasing.centering import Centering
from mixling.debiasing.debias import debias
from mixling.debiasing.lsar import Lsar
from mixling.debiasing.method import DebiasingMethod, Transform
from mixling.debiasing.trained import TrainedTransform
from mixling.evaluation.baselines import task_vectors
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.encoder import ExternalEncoder
from mixling.models.encoders import AnyEncoder, load_encoder
from mixling.models.shipped import read_shipped
from mixling.models.universal import LANGUAGES, NAME
from mixling.models.weights import DEFAULT
from mixling.transforms.transforms import AffineTransform, LanguageTransform, normalize

RESULT = Path(__file__).with_name("second-encoder.json")
SHARED = [x for x in ("ar", "de", "en", "es", "ru", "th", "tr", "zh") if x in LANGUAGES]
CODES = ",".join(SHARED)
TASK = f"xquad-r@{CODES}"
PAIR = "xquad-r@en,zh"  # small enough for a run that holds every passage of every query
DEVELOPMENT = (f"sib-200:dev@{CODES}", "mlqa:held-out@ar,de,es,zh")
SCENARIOS = ("monolingual", "cross-lingual", "multilingual")
SENTENCES = (25, 50, 100, 200, 400, None)  # None: all, 701
PRECISION = "bf16"  # of e5-small; the second encoder computes in its own way
DEPTH = 100  # what `evaluate --endpoint` asks a system for
# the options that development data choose from; the first of each are the defaults
OPTIONS: dict[str, list[DebiasingMethod]] = {
    "centering": [Centering(), Centering(keep_mean=True)],
    "lsar": [
        Lsar(),
        *(Lsar(rank=r) for r in (2, 4, 10, 14)),
        *(Lsar(sharpen=s) for s in (0.1, 0.25, 0.5)),
    ],
    "trained": [
        TrainedTransform(),
        TrainedTransform(sharpen=False),
        TrainedTransform(pull=0.5),
        TrainedTransform(pull=0.02),
        TrainedTransform(temperature=0.05),
        TrainedTransform(temperature=0.1),
    ],
}
FIT = {"trained": ["sib-200:train", "mlqa:train"]}


class Memory:
    """An encoder whose vectors stay in memory, so that each text is computed once.

    Args:
        encoder: The encoder, which treats queries and passages alike.
    """

    def __init__(self, encoder: ExternalEncoder):
        self.encoder = encoder
        self.vectors: dict[str, np.ndarray] = {}

    def __call__(self, texts: list[str], role: str | None = None) -> np.ndarray:
        """Return the vectors of texts, float32 `[n, dim]`."""
        missing = [x for x in dict.fromkeys(texts) if x not in self.vectors]
        if missing:
            self.vectors.update(zip(missing, self.encoder.encode(missing, role), strict=True))
        return np.stack([self.vectors[x] for x in texts])


def serve(encode: Callable[[list[str]], np.ndarray]) -> ThreadingHTTPServer:
    """Answer `/v1/embeddings` on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        """Answers in OpenAI's form."""

        def do_POST(self) -> None:
            """Answer one request."""
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            vectors = encode(body["input"])
            data = [{"index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)]
            usage = {"prompt_tokens": 0, "total_tokens": 0}
            answer = {"object": "list", "data": data, "model": body["model"], "usage": usage}
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def write_vectors(task: str, encode: Memory, out: Path) -> None:
    """Write the vectors of a task as a user would: ids by `mixling texts`, .npy and Parquet."""
    for form in ("npy", "parquet"):
        (out / form).mkdir(parents=True, exist_ok=True)
    texts = out / "npy" / "texts.jsonl"
    mixling.texts(task, texts)
    rows = [json.loads(line) for line in read_text(texts).splitlines()]
    vectors = encode([row["text"] for row in rows])
    np.save(out / "npy" / "texts.npy", vectors)
    table = pa.table(
        {"id": [r["id"] for r in rows], "role": [r["role"] for r in rows], "vector": list(vectors)}
    )
    pq.write_table(table, out / "parquet" / "vectors.parquet")


def all_figures(result: EvaluationResult, name: str) -> dict[str, float]:
    """Return every mean of a task: the metrics of each scenario, and the measures of bias."""
    entry = result.summary["tasks"][name]
    return {
        f"{part} {measure}": value
        for part in (*SCENARIOS, "bias")
        for measure, value in entry.get(part, {}).items()
        if isinstance(value, (int, float)) and not np.isnan(value)
    }


def four_figures(entry: dict[str, Any]) -> dict[str, float]:
    """Return mean average precision of each scenario, and the rank distance."""
    figures = {s: entry[s]["mAP"] for s in SCENARIOS if s in entry}
    return figures | {"rank distance": entry["bias"]["rank_distance"]}


def measure_doors(memory: Memory, out: Path) -> dict[str, Any]:
    """Measure the encoder through each door, and compare every figure with the wheel's."""
    write_vectors(TASK, memory, out / "vectors")
    server = serve(memory)
    address = f"http://127.0.0.1:{server.server_port}/v1#{NAME}"
    cache = os.environ.get("MIXLING_CACHE")
    reference = mixling.evaluate(NAME, [TASK], out / "wheel")
    os.environ["MIXLING_CACHE"] = str(out / "cache")  # vectors of the address are of this run
    try:
        doors = {
            "wheel": reference,
            "Python function": mixling.evaluate(memory, [TASK]),
            "OpenAI-compatible address": mixling.evaluate(address, [TASK]),
            "vectors on disk, .npy": mixling.evaluate(
                vectors=out / "vectors" / "npy", tasks=[TASK]
            ),
            "vectors on disk, Parquet": mixling.evaluate(
                vectors=out / "vectors" / "parquet", tasks=[TASK]
            ),
        }
    finally:
        server.shutdown()
        del os.environ["MIXLING_CACHE"]
        if cache is not None:
            os.environ["MIXLING_CACHE"] = cache
    first = all_figures(reference, TASK)
    rows = {}
    for name, result in doors.items():
        figures = all_figures(result, TASK)
        assert figures.keys() == first.keys(), name
        difference = max(abs(figures[k] - first[k]) for k in first)
        assert difference <= 1e-6, (name, difference)
        rows[name] = {
            **four_figures(result.summary["tasks"][TASK]),
            "figures": len(figures),
            "largest difference": difference,
        }
    return rows


def measure_runs(memory: Memory, out: Path) -> dict[str, Any]:
    """Measure TREC runs of the encoder: what they tell must equal the wheel's figures exactly.

    A run of eight languages holds the first hundred passages of each query. A run of two languages
    holds all.
    """
    rows = {}
    for task_name in (TASK, PAIR):
        task = load_task(task_name)
        depth = DEPTH if task_name == TASK else len(task.passages)
        direct = mixling.evaluate(memory, [task])
        path = out / f"{'first' if task_name == TASK else 'complete'}.run"
        write_run(task, memory, path, depth)
        result = mixling.evaluate(run=path, tasks=[task])
        path.unlink()
        first, figures = all_figures(direct, task.name), all_figures(result, task.name)
        entry = result.summary["tasks"][task.name]
        # of a relevant passage without a rank the run tells only that it is not among the first
        unequal = sorted(k for k, v in figures.items() if v != first[k])
        rows[f"{depth:,} passages a query"] = {
            "task": task_name,
            "figures": len(figures),
            "equal": len(figures) - len(unequal),
            "unequal": {k: [first[k], figures[k]] for k in unequal},
            "left out": {**entry["left_out"], **entry["lists"]["left_out_measures"]},
            "relevant without rank": entry["lists"]["relevant_without_rank"],
            "relevant": entry["lists"]["relevant"],
        }
    return rows


def write_run(task: Task, memory: Memory, path: Path, depth: int) -> None:
    """Write a TREC run of a task with so many passages a query."""
    from mixling.evaluation.trec import write_trec

    # scaled as `evaluate` scales vectors, so that scores are equal to the last bit
    queries, passages = (normalize(memory(list(x))) for x in (task.queries, task.passages))
    ranks = rank_task(task, DotScorer(queries, passages), depth)
    write_trec(task, ranks, path.parent)
    written = next(p for p in path.parent.glob("*.run") if p.name.startswith("xquad-r"))
    written.rename(path)


def transformed(
    transform: Transform | None, vectors: np.ndarray, languages: list[str], role: str
) -> np.ndarray:
    """Return vectors behind a transform, which may be one by language."""
    if transform is None:
        return vectors
    if isinstance(transform, LanguageTransform):
        return transform.transform(vectors, languages, role)
    assert isinstance(transform, AffineTransform)
    return transform.transform(vectors)


class Measured:
    """An encoder with its vectors of the tasks.

    Args:
        encoder: The encoder.
        tasks: The tasks.
        cache: Folder that keeps vectors for the next run.
    """

    def __init__(self, encoder: AnyEncoder, tasks: list[Task], cache: Path):
        self.vectors = [
            (task, *task_vectors(encoder, task, PRECISION, cache)[:2]) for task in tasks
        ]

    def figures(self, transform: Transform | None) -> list[dict[str, float]]:
        """Return the four figures of each task behind a transform."""
        rows = []
        for task, queries, passages in self.vectors:
            scorer = DotScorer(
                *(
                    transformed(transform, v, [task.languages[i] for i in codes], role)
                    for v, codes, role in (
                        (queries, task.query_language, "query"),
                        (passages, task.passage_language, "passage"),
                    )
                )
            )
            rows.append(four_figures(score_task(task, rank_task(task, scorer)).entry))
        return rows


def fit(
    encoder: AnyEncoder, method: DebiasingMethod, sentences: int | None, cache: Path
) -> Transform:
    """Fit a method on so many sentences a language, None for all."""
    sources = FIT.get(method.name, ["sib-200:train"])
    return debias(encoder, method, sources, languages=SHARED, texts=sentences, vector_cache=cache)


def options_of(method: DebiasingMethod) -> str:
    """Name a method with the options that are not its defaults."""
    changed = {k: v for k, v in vars(method).items() if v != getattr(type(method)(), k)}
    return ", ".join([method.name, *(f"{k} {v}" for k, v in changed.items())])


def choose(encoder: AnyEncoder, content: dict[str, Any], cache: Path) -> Iterator[DebiasingMethod]:
    """Yield each method with the options that are best on the development tasks.

    Best is the highest mean of multilingual mean average precision over these tasks, fitted on all
    sentences.
    """
    measured = Measured(encoder, [load_task(t) for t in DEVELOPMENT], cache)
    rows = content.setdefault("development", {})
    if "zero-shot" not in rows:
        rows["zero-shot"] = dict(zip(DEVELOPMENT, measured.figures(None), strict=True))
    for methods in OPTIONS.values():
        for method in methods:
            if options_of(method) not in rows:
                figures = measured.figures(fit(encoder, method, None, cache))
                rows[options_of(method)] = dict(zip(DEVELOPMENT, figures, strict=True))
                save(content)
        yield max(methods, key=lambda m: multilingual(rows[options_of(m)]))
    for name in {k for k in rows if k != "zero-shot"}:
        rows[name]["mean multilingual"] = multilingual(rows[name])


def multilingual(row: dict[str, Any]) -> float:
    """Return the mean of multilingual mean average precision over the development tasks."""
    return float(np.mean([row[task]["multilingual"] for task in DEVELOPMENT]))


def audit_of(model: Any, out: Path) -> dict[str, Any]:
    """Audit XQuAD's paragraphs of the shared languages, without judgments."""
    documents = out / "paragraphs.jsonl"
    table = mixling.load("xquad-r", languages=SHARED).passages
    columns = (table[c].to_pylist() for c in ("id", "language", "group", "text"))
    rows = [
        {"_id": f"{i}", "language": language, "group": str(group), "text": text}
        for i, (_, language, group, text) in enumerate(zip(*columns, strict=True))
    ]
    write_text(documents, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    result = mixling.audit(documents, model)
    return {
        "passages": result.passages,
        "queries": result.queries,
        "query type": result.query_type,
        "decision": result.verdict.decision,
        "reason": result.verdict.reason,
        "measures": result.measures,
        "notes": result.notes,
    }


def save(content: dict[str, Any]) -> None:
    """Write the result file."""
    versions = {"versions": library_versions(), "machine": machine_info()}
    write_text(RESULT, json.dumps({**content, **versions}, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Run the parts that are not measured yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/second-encoder"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    cache = out / "vectors-cache"
    content = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    encoder = load_encoder(NAME)
    assert isinstance(encoder, ExternalEncoder)
    memory, task = Memory(encoder), load_task(TASK)
    content |= {
        "task": TASK, "queries": len(task.queries), "passages": len(task.passages),
        "data": task.fingerprint(),
    }  # fmt: skip
    if "audit" not in content:
        content["audit"] = {NAME: audit_of(encoder, out)}
        save(content)
    rows = content.setdefault("rows", [])
    done = {(r["encoder"], r["transform"], r["sentences"]) for r in rows}

    def add(name: str, label: str, sentences: int, figures: dict[str, float]) -> None:
        """Add a row of XQuAD-R to the result file."""
        rows.append({"encoder": name, "transform": label, "sentences": sentences, **figures})
        print(rows[-1], flush=True)
        save(content)

    second = Measured(encoder, [task], cache)
    if (NAME, "zero-shot", 0) not in done:
        add(NAME, "zero-shot", 0, second.figures(None)[0])
    for method in choose(encoder, content, cache):
        for sentences in SENTENCES:
            label = options_of(method)
            if (NAME, label, sentences or 701) not in done:
                transform = fit(encoder, method, sentences, cache)
                add(NAME, label, sentences or 701, second.figures(transform)[0])
    if (DEFAULT, "shipped", 0) not in done:
        e5 = Measured(load_encoder(DEFAULT), [task], cache)
        add(DEFAULT, "zero-shot", 0, e5.figures(None)[0])
        add(DEFAULT, "shipped", 0, e5.figures(AffineTransform(*read_shipped()))[0])
    if "doors" not in content:
        content["doors"] = measure_doors(memory, out)
        save(content)
    if "runs" not in content:
        content["runs"] = measure_runs(memory, out)
        save(content)
    if DEFAULT not in content["audit"]:
        content["audit"][DEFAULT] = audit_of(DEFAULT, out)
        save(content)


if __name__ == "__main__":
    main()
