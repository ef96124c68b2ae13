"""The audit's verdict and predicted gain against the gain measured with judgments.

    python -m studies.audit MODEL COLLECTION.jsonl CACHE [--vectors FOLDER] [--most N] [--out FILE]
    python -m studies.audit --join FOLDER

COLLECTION.jsonl and COLLECTION.queries.jsonl are those of `studies.audit_collections`. Vectors of
the documents (their first 1,500 characters) are kept in the folder CACHE, and the audit is given
them as a search index would give them: Parquet with text, language, group and title. --vectors
takes them from a folder of `mixling encode` instead; documents that it does not hold are left out.

The audit reads no judgment. Its transform is applied to the vectors, and queries whose answers are
judged are searched before and after, in the pool of all languages: multilingual mean average
precision, and the mean reciprocal rank that the audit predicts.

With queries: these are judged, and half of them (by group) are the log of the audit "with a log";
the other half is measured. Without a file of queries titles are the judged queries: the collection
is split by group, one half is audited, and the other half is measured.

The second form joins the results of a folder in studies/audit.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixling.auditing.audit import audit
from mixling.auditing.candidates import Pool, mean_interval, offset_vectors
from mixling.auditing.known_items import KnownItems, rank
from mixling.debiasing.collection import CollectionVectors, fit_on_collection, steps_for
from mixling.encoding.vectors import encode_cached
from mixling.models.encoders import load_encoder
from mixling.transforms.transforms import normalize

CHARACTERS = 1500
SHOWN = ("decision", "reason", "candidate", "gain", "gain_low", "gain_high")


class Cached:
    """An encoder whose vectors are kept in a folder."""

    def __init__(self, encoder, folder):
        self.inner, self.folder = encoder, folder
        self.name, self.similarity = encoder.name, encoder.similarity

    def encode(self, texts, role=None, *, languages=None, precision="auto", progress=None):
        return encode_cached(self.inner, list(texts), role, folder=self.folder)[0]


def read(path):
    """Rows of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_vectors(path, rows, vectors):
    """Write documents and their vectors as the audit reads them."""
    names = [x for x in ("_id", "text", "language", "group", "title") if x in rows[0]]
    pq.write_table(
        pa.table({**{x: [row[x] for row in rows] for x in names}, "vector": list(vectors)}), path
    )


def known_items(queries, vectors, rows):
    """Judged queries, connected with the documents of their groups."""
    names = sorted({_group(x) for x in rows})
    number = {x: i for i, x in enumerate(names)}
    groups = np.array([number[_group(x)] for x in rows])
    kept = [i for i, x in enumerate(queries) if x["group"] in number]
    asked = np.array([number[queries[i]["group"]] for i in kept])
    answers = [np.flatnonzero(groups == x) for x in asked]
    items = KnownItems(
        "judged",
        vectors[kept],
        np.array([queries[i]["language"] for i in kept]),
        asked,
        np.full(len(kept), -1),
        np.repeat(np.arange(len(kept)), [len(x) for x in answers]),
        np.concatenate(answers),
    )
    return items, groups


def _group(row):
    """The group of a document, as in the judgments; one without translations is alone."""
    return row.get("group") or row["_id"].replace("-p", "")


def mean_average_precision(queries, passages, items, groups, offsets=None, languages=None):
    """Multilingual mAP: all passages of the query's group are relevant; mean over languages."""
    values = np.empty(len(queries))
    own = None if offsets is None else np.unique(languages, return_inverse=True)[1]
    for i, query in enumerate(queries):
        scores = passages @ query
        if offsets is not None:
            scores = scores - (offsets @ query)[own]
        relevant = (groups == items.groups[i])[np.argsort(-scores, kind="stable")]
        ranks = np.flatnonzero(relevant) + 1
        values[i] = (np.arange(1, len(ranks) + 1) / ranks).mean()
    return float(np.mean([values[items.languages == x].mean() for x in np.unique(items.languages)]))


def measure(items, pool, transforms):
    """What each candidate brings to judged queries."""
    moved = {"zero-shot": (items.vectors, pool.vectors, None)}
    for key, transform in transforms.items():
        moved[key] = (
            transform.transform(items.vectors, items.languages.tolist(), "query"),
            transform.transform(pool.vectors, pool.languages.tolist(), "passage"),
            None,
        )
    every = CollectionVectors(items.vectors, items.languages, pool.vectors, pool.languages)
    offsets = offset_vectors(every, np.unique(pool.languages).tolist())
    moved["order"] = (items.vectors, pool.vectors, offsets)
    found, base = {}, None
    for key, (queries, passages, offsets) in moved.items():
        ranks = rank(items, passages, pool.languages, pool.groups, queries, offsets)
        base = ranks if base is None else base
        gain = mean_interval(items, pool.languages, 1 / ranks.pooled - 1 / base.pooled)
        found[key] = {
            "alone": mean_interval(items, pool.languages, 1 / ranks.alone)[0],
            "pooled": mean_interval(items, pool.languages, 1 / ranks.pooled)[0],
            "gain": list(gain),
            "multilingual_mAP": mean_average_precision(
                queries, passages, items, pool.groups, offsets, pool.languages
            ),
        }
    return found


def make_pool(rows, vectors, groups):
    """The pool that judged queries search."""
    languages = np.array([x["language"] for x in rows])
    counts = {x: int((languages == x).sum()) for x in np.unique(languages).tolist()}
    means = {x: vectors[languages == x].mean(0) for x in counts}
    return Pool(vectors, languages, groups, means, counts)


def all_transforms(rows, vectors, asked, name):
    """Every transform, fitted as the audit fits the one that it advises."""
    languages = np.array([x["language"] for x in rows])
    collection = CollectionVectors(*asked, vectors, languages)
    return {x: fit_on_collection(x, collection) for x in steps_for(name, len(asked[0]))}


def first_items(rows, encoder):
    """The titles or first sentences that the audit asks with."""
    from mixling.auditing.pool import Rows
    from mixling.auditing.queries import make_queries

    columns = ([x.get(k, "") for x in rows] for k in ("_id", "language", "group", "title", "text"))
    made = make_queries(Rows(*columns))
    return (
        normalize(encoder.encode(made.texts, "query")).astype(np.float32),
        np.array([rows[i]["language"] for i in made.rows]),
    )


def halves(names):
    """Two halves of the groups, at random."""
    order = np.random.default_rng(0).permutation(len(names))
    return [{names[i] for i in order[part::2]} for part in (0, 1)]


def given_vectors(folder, rows):
    """Documents whose vectors a folder of `mixling encode` holds, with these."""
    found = {}
    for path in sorted(folder.glob("shard-*.parquet")):
        table = pq.read_table(path, columns=["id", "vector"])
        flat = table["vector"].combine_chunks().flatten().to_numpy()
        found.update(zip(table["id"].to_pylist(), flat.reshape(len(table), -1), strict=True))
    kept = [x for x in rows if x["_id"] in found]
    return kept, np.stack([found[x["_id"]] for x in kept])


def study(collection, encoder, most=10**9, folder_of_vectors=None):
    """Audit a collection without and with a log of queries, and measure."""
    rows, path = read(collection)[:most], collection.with_suffix(".queries.jsonl")
    if folder_of_vectors is None:
        vectors = encoder.encode([x["text"][:CHARACTERS] for x in rows], "passage")
    else:
        rows, vectors = given_vectors(folder_of_vectors, rows)
    vectors = normalize(vectors).astype(np.float32)
    if path.exists():
        kept = {_group(x) for x in rows}
        queries = [x for x in read(path) if x["group"] in kept]
        audited, measured = (rows, vectors), (rows, vectors)
        log_groups, judged_groups = halves(sorted({x["group"] for x in queries}))
        log = [x for x in queries if x["group"] in log_groups]
        judged = [x for x in queries if x["group"] in judged_groups]
    else:
        first, second = halves(sorted({x["group"] for x in rows}))
        audited, measured = (
            ([rows[i] for i in places], vectors[places])
            for places in (
                np.array([i for i, x in enumerate(rows) if x["group"] in part])
                for part in (first, second)
            )
        )
        titles = [{"text": x["title"], "language": x["language"], "group": x["group"]} for x in
                  measured[0]]  # fmt: skip
        log_groups, judged_groups = halves(sorted(second))
        log = [x for x in titles if x["group"] in log_groups]
        judged = [x for x in titles if x["group"] in judged_groups]
    # What answers the log is not searched: hub correction takes it down, and here it answers
    # nothing.
    kept = [i for i, x in enumerate(measured[0]) if _group(x) not in log_groups]
    measured = [measured[0][i] for i in kept], measured[1][kept]
    asked = normalize(encoder.encode([x["text"] for x in judged], "query")).astype(np.float32)
    items, groups = known_items(judged, asked, measured[0])
    pool = make_pool(*measured, groups)
    made = first_items(audited[0], encoder)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        index, lines = Path(folder) / f"{collection.stem}.parquet", Path(folder) / "log.jsonl"
        write_vectors(index, *audited)
        lines.write_text("".join(json.dumps(x) + "\n" for x in log))
        for name, given in (("no", None), ("yes", lines)):
            audit(index, encoder, queries=given)  # so that every text is encoded
            start = time.monotonic()
            result = audit(index, encoder, queries=given)
            seconds = time.monotonic() - start
            fitted_on = made
            if given is not None:
                texts = [x["text"] for x in log]
                tags = np.array([x["language"] for x in log])
                fitted_on = normalize(encoder.encode(texts, "query")).astype(np.float32), tags
            fitted = all_transforms(*audited, fitted_on, encoder.name)
            verdict = result.to_dict()["verdict"]
            if result.transform is not None:
                fitted[verdict["candidate"]] = result.transform
            results.append(
                {
                    "collection": collection.stem,
                    "model": encoder.name,
                    "log": name,
                    "languages": result.languages,
                    "audited": len(audited[0]),
                    "searched": len(measured[0]),
                    "judged_queries": len(judged),
                    "log_queries": len(log) if given else 0,
                    "queries": result.query_type,
                    "translations": result.translations,
                    "seconds_with_vectors": round(seconds, 1),
                    "verdict": {x: verdict[x] for x in SHOWN},
                    "measures": result.measures,
                    "predicted": {
                        x.candidate: [x.gain, x.gain_low, x.gain_high] for x in result.trials
                    },
                    "measured": measure(items, pool, fitted),
                }
            )
    return results


def main() -> None:
    """Audit a collection and measure, or join results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("arguments", nargs="*", help="MODEL COLLECTION CACHE")
    parser.add_argument("--most", type=int, default=10**9, help="documents of the collection")
    parser.add_argument("--vectors", type=Path, help="folder of mixling encode")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--join", type=Path)
    given = parser.parse_args()
    if given.join:
        rows = [
            x for path in sorted(given.join.glob("*.json")) for x in json.loads(path.read_text())
        ]
        text = json.dumps({"rows": rows}, indent=1)
        Path(__file__).with_suffix(".json").write_text(text + "\n")
        return
    model, collection, cache = given.arguments
    encoder = Cached(load_encoder(model), Path(cache))
    text = json.dumps(study(Path(collection), encoder, given.most, given.vectors), indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
