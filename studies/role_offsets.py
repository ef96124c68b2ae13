"""Whether the shift from passages to queries of another collection stands for a collection's own.

    python -m studies.role_offsets --vectors FOLDER

Centers each collection of `studies.collection_vectors` with the means of its passages and, for
queries, these means plus a shift: its own, of a log, or that of another collection. Writes
studies/role-offsets.json: multilingual and monolingual mAP.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from studies.collection_measures import macro, measure_one, split

from mixling.debiasing.collection import CollectionVectors, fit_on_collection, passage_means
from mixling.machine import library_versions
from mixling.transforms.transforms import normalize

COLLECTIONS = ("help-dev", "faq", "tydi", "xquad-paragraphs", "afriqa")
ENCODER = "multilingual-e5-small"
MAX_QUERIES = 500


def main() -> None:
    """Measure every collection with the shift of every other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, required=True)
    folder = parser.parse_args().vectors
    parts, shifts, found = {}, {}, {}
    for name in COLLECTIONS:
        data, log, tags = split(dict(np.load(folder / f"{ENCODER}--{name}.npz")))
        vectors = CollectionVectors(log, tags, data["p"], data["pl"])
        means, overall = passage_means(vectors)
        parts[name] = data, vectors, means, overall
        by_language = [log[tags == x].mean(0) - means.get(x, overall) for x in np.unique(tags)]
        shifts[name] = np.mean(by_language, axis=0)
    for name, (whole, vectors, means, overall) in parts.items():
        data = first_queries(whole)
        centering, language = (fit_on_collection(x, vectors) for x in ("centering", "language"))
        passages = centering.transform(data["p"], data["pl"].tolist(), "passage")
        expected = np.stack([means.get(x, overall) for x in data["ql"]])
        tags = data["ql"].tolist()
        sides = {
            "zero-shot": (data["q"], data["p"]),
            "language": (
                language.transform(data["q"], tags, "query"),
                language.transform(data["p"], data["pl"].tolist(), "passage"),
            ),
            "own queries": (centering.transform(data["q"], tags, "query"), passages),
        }
        for other, shift in shifts.items():
            if other != name:
                moved = normalize(data["q"] - expected - shift).astype(np.float32)
                sides[f"shift of {other}"] = moved, passages
        found[name] = {}
        for key, side in sides.items():
            values = measure_one(*side, None, data)
            found[name][key] = {
                m: macro(values[m], data["ql"]) for m in ("multilingual", "monolingual")
            }
        print(name, found[name], flush=True)
    content = {"encoder": ENCODER, "collections": found, "versions": library_versions()}
    Path(__file__).with_name("role-offsets.json").write_text(json.dumps(content, indent=1) + "\n")


def first_queries(data: dict) -> dict:
    """Return some of the queries, at random."""
    rows = np.random.default_rng(0).permutation(len(data["q"]))[:MAX_QUERIES]
    return {
        **data, "q": data["q"][rows], "ql": data["ql"][rows],
        "rel": [data["rel"][i] for i in rows], "ex": data["ex"][rows],
    }  # fmt: skip


if __name__ == "__main__":
    main()
