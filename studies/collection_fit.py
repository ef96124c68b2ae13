"""Transforms fitted on a collection itself: what they bring, and whether the choice is right.

    python -m studies.collection_vectors ENCODER COLLECTION... --vectors FOLDER
    python -m studies.collection_fit --vectors FOLDER

Fits and tries every transform on what the first command encoded, and writes
studies/collection-fit.json; collections that it has are left alone.

The query groups of a collection are split into halves. The first half stands for a log: unlabelled
queries that the means and the references of hub correction come from. The second half is measured.
Passages that answer a query of the log are not searched: hub correction takes them down, and they
would be mere distractors of the queries that are measured.

The choice sees no judgment and no real query: first sentences or titles of passages ask for them
(`mixling.auditing.candidates`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from studies.collection_measures import macro, measure_one, split, summary

from mixling.auditing.audit import transforms_to_try
from mixling.auditing.candidates import Pool, offset_vectors, try_candidates
from mixling.auditing.collection import MIN_LINKS, MIN_PRECISION
from mixling.auditing.fit_collection import choose_steps
from mixling.auditing.known_items import KnownItems, make_items
from mixling.auditing.pool import Rows, group_numbers
from mixling.auditing.queries import BEGINNING
from mixling.auditing.translations import find_translations
from mixling.debiasing.collection import (
    MIN_REFERENCES,
    CollectionVectors,
    fit_on_collection,
    steps_for,
)
from mixling.debiasing.known_pairs import KnownPairs
from mixling.errors import MixlingError
from mixling.machine import library_versions
from mixling.models.weights import DEFAULT
from mixling.searching.drift import language_variance
from mixling.transforms.files import VectorTransform
from mixling.transforms.hub_correction import HubCorrection
from mixling.transforms.transforms import LanguageTransform, normalize

OUT = Path(__file__).parent / "collection-fit.json"
DEVELOPMENT = ("mlqa-r", "tico-19", "help-dev")  # what choices were made on
SHORT = 15  # characters of a short query


def measure(path: Path) -> dict:
    """Measure every transform on one collection, and choose one without judgments."""
    z = dict(np.load(path))
    encoder, collection = path.stem.split("--")
    model = DEFAULT if encoder == DEFAULT.rpartition("/")[2] else encoder
    data, log, log_languages = split(z)
    known = _items(z) if "item_queries" in z else None
    pairs = None if known is None else _pairs(z, data["kept"], *known)
    vectors = CollectionVectors(log, log_languages, data["p"], data["pl"], known=pairs)
    across = 0 if pairs is None else pairs.across_languages(data["pl"])
    fitted = _fitted(steps_for(model, len(log), across), vectors)
    result = {
        "encoder": encoder,
        "queries": len(data["q"]), "passages": len(data["p"]), "log": len(log),
        "languages": sorted(set(data["pl"].tolist())),
        "query_languages": sorted(set(data["ql"].tolist())),
    }  # fmt: skip
    found, criteria = {}, {}
    for steps, moved in _moved(fitted, vectors, data).items():
        found[steps] = measure_one(*moved, data)
        if steps == "zero-shot" or steps in fitted:
            criteria[steps] = _criteria(fitted.get(steps), moved[1], vectors, data["pl"])
    result |= summary(found, data)
    result["criteria"] = criteria
    if collection in DEVELOPMENT and len(log) >= MIN_REFERENCES:
        result["hub corrections"] = _hub_corrections(vectors, data)
    if collection in ("help-test", "mlqa-r"):
        result["curves"] = _curves(vectors, data)
    if collection == "help-test":
        result["geometry"] = _geometry(vectors, data)
        result["unbalanced"] = {
            name: measure_pool(part, model) for name, part in unbalanced(z).items()
        }
    if "identified" in z:
        result["languages of queries"] = _identified(z, vectors, data)
    if known is not None:
        result["choice"] = _choice(model, *known)
    return result


def measure_pool(z: dict[str, np.ndarray], model: str) -> dict:
    """Measure the transforms that no known items are needed for."""
    data, log, log_languages = split(z)
    vectors = CollectionVectors(log, log_languages, data["p"], data["pl"])
    moved = _moved(_fitted(steps_for(model, len(log)), vectors), vectors, data)
    found = {steps: measure_one(*x, data) for steps, x in moved.items()}
    codes, counts = np.unique(data["pl"], return_counts=True)
    of_language = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    return {"passages": of_language, "queries": len(data["q"]), **summary(found, data)}


def _fitted(names: list[str], vectors: CollectionVectors) -> dict[str, VectorTransform]:
    """Every transform that the vectors suffice for."""
    found = {}
    for steps in names:
        try:
            found[steps] = fit_on_collection(steps, vectors)
        except MixlingError as error:
            print(steps, error)
    return found


def _moved(
    fitted: dict[str, VectorTransform], vectors: CollectionVectors, data: dict
) -> dict[str, tuple]:
    """Queries, passages and offsets of languages under each transform and order."""
    offsets = offset_vectors(vectors, np.unique(data["pl"]).tolist())
    found = {"zero-shot": (data["q"], data["p"], None), "order": (data["q"], data["p"], offsets)}
    for steps, transform in fitted.items():
        found[steps] = (
            transform.transform(data["q"], data["ql"].tolist(), "query"),
            transform.transform(data["p"], data["pl"].tolist(), "passage"),
            None,
        )
    if "centering" in fitted:
        found |= _at_query_time(fitted["centering"], vectors, data)
    return found


def _at_query_time(
    centering: LanguageTransform, vectors: CollectionVectors, data: dict
) -> dict[str, tuple]:
    """Centering, and hub correction, where the vectors of passages stay as they are.

    A passage's score is that of the centered query, less that of the mean of its language. Unlike a
    transform this does not scale passages to length one again. Its hub score is a number beside it.
    """
    codes = {x: i for i, x in enumerate(centering.languages)}
    known = [codes.get(x, -1) for x in data["pl"].tolist()]
    means = np.vstack([centering.offset[1], centering.role_offset[1:]])
    queries = centering.transform(data["q"], data["ql"].tolist(), "query")
    passages = data["p"] - means[known]
    found = {"centering at query time": (queries, passages, None)}
    if len(vectors.queries) >= MIN_REFERENCES:
        log = centering.transform(vectors.queries, vectors.query_languages.tolist(), "query")
        hubs = HubCorrection(normalize(log).astype(np.float32)).hub_scores(passages)
        found["centering+hubs at query time"] = (
            np.hstack([queries, np.ones((len(queries), 1), np.float32)]),
            np.hstack([passages, -hubs[:, None] / 2]),
            None,
        )
    return found


def _criteria(
    transform: VectorTransform | None,
    passages: np.ndarray,
    vectors: CollectionVectors,
    languages: np.ndarray,
) -> dict[str, float]:
    """Numbers of a transform that need no judgments; more is better for each."""
    queries, asked = vectors.queries, vectors.query_languages
    if transform is not None:
        queries = transform.transform(queries, asked.tolist(), "query")
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(queries))[:1000])
    scores = queries[rows] @ passages.T
    top = np.argpartition(-scores, 10, axis=1)[:, :10]
    codes, number = np.unique(languages, return_inverse=True)
    pool = np.bincount(number) / len(number)
    mix = [
        np.abs(np.bincount(number[top[asked[rows] == x]].ravel(), minlength=len(codes)) / t - pool)
        for x in np.unique(asked[rows])
        for t in [10 * (asked[rows] == x).sum()]
    ]
    hits = np.bincount(top.ravel(), minlength=len(passages))
    skew = ((hits - hits.mean()) ** 3).mean() / max(hits.std(), 1e-9) ** 3
    sample = np.sort(rng.permutation(len(passages))[:3000])
    near = passages[sample] @ passages[sample].T
    near[languages[sample][:, None] == languages[sample][None]] = -9
    best = near.argmax(1)
    return {
        "answers in all languages": -float(np.mean([x.sum() / 2 for x in mix])),
        "few hubs": -float(skew),
        "mutual nearest neighbors": float((best[best] == np.arange(len(best))).mean()),
        "little variance by language": -_variance(passages, languages),
    }


def unbalanced(z: dict[str, np.ndarray]) -> dict[str, dict]:
    """Pools as people have them: one language in front, a tiny one, pages left untranslated."""
    rng, languages = np.random.default_rng(0), z["passage_languages"]
    english = languages == "en"
    others = rng.permutation(np.flatnonzero(~english))
    nine = english.copy()
    nine[others[: english.sum() // 9]] = True
    tiny = languages != "km"
    tiny[rng.permutation(np.flatnonzero(~tiny))[:20]] = True
    group = np.full(len(languages), -1)  # every query of a page asks for its translations
    for query, passage in z["relevant"]:
        group[passage] = np.searchsorted(np.unique(z["query_groups"]), z["query_groups"][query])
    of_group = {g: i for i, g in enumerate(group.tolist()) if english[i] and g >= 0}
    left = [i for i in others if group[i] in of_group][: len(others) // 10]
    vectors = z["passages"].copy()
    vectors[left] = vectors[[of_group[group[i]] for i in left]]
    return {
        "nine of ten in English": _part_of(z, nine),
        "twenty documents in Khmer": _part_of(z, tiny),
        "a tenth left in English": {**z, "passages": vectors},
    }


def _part_of(z: dict[str, np.ndarray], keep: np.ndarray) -> dict[str, np.ndarray]:
    """The same collection with some of its passages."""
    place = np.cumsum(keep) - 1
    rows = z["relevant"][keep[z["relevant"][:, 1]]]
    excluded = np.where((z["excluded"] >= 0) & keep[z["excluded"]], place[z["excluded"]], -1)
    return {
        **z, "passages": z["passages"][keep], "passage_languages": z["passage_languages"][keep],
        "relevant": np.stack([rows[:, 0], place[rows[:, 1]]], 1), "excluded": excluded,
    }  # fmt: skip


def _geometry(vectors: CollectionVectors, data: dict) -> dict:
    """Where texts lie in the plane in which the means of languages and roles differ most.

    As they are; less the mean of the language's passages, queries too; and less the mean of the
    language in the text's role.
    """
    centering = fit_on_collection("centering", vectors)
    codes = list(centering.languages)
    means = centering.offset.reshape(-1, centering.offset.shape[2])
    middle = means.mean(0)
    plane = np.linalg.svd(means - middle, full_matrices=False)[2][:2]
    rng, found = np.random.default_rng(0), {}
    sides = ((vectors.queries, vectors.query_languages), (data["p"], data["pl"]))
    rows = [
        np.concatenate([rng.permutation(np.flatnonzero(tags == x))[:10] for x in codes])
        for _, tags in sides
    ]
    for name, offsets in (
        ("as they are", np.zeros_like(centering.offset) + middle),
        ("less the mean of passages", centering.offset[[1, 1]]),
        ("less the mean of the role", centering.offset),
    ):
        found[name] = {}
        for role, (texts, tags), chosen in zip(("query", "passage"), sides, rows, strict=True):
            number = np.array([codes.index(x) for x in tags[chosen]])
            moved = texts[chosen] - offsets[int(role == "passage"), number]
            found[name][role] = (moved @ plane.T).round(3).tolist()
            found[name]["languages"] = [codes[i] for i in number]
    queries = np.stack([centering.offset[1, codes.index(x)] for x in data["ql"]])
    passages = centering.transform(data["p"], data["pl"].tolist(), "passage")
    values = measure_one(normalize(data["q"] - queries), passages, None, data)
    found["mAP less the mean of passages"] = {m: macro(v, data["ql"]) for m, v in values.items()}
    return found


def _identified(z: dict[str, np.ndarray], vectors: CollectionVectors, data: dict) -> dict:
    """Centering of queries by their true language, the identified one, and its probability."""
    centering = fit_on_collection("centering", vectors)
    passages = centering.transform(data["p"], data["pl"].tolist(), "passage")
    identified, true = z["identified"][data["rows"]], data["ql"]
    sure = z["probability"][data["rows"]][:, None]
    offsets = dict(zip(centering.languages, centering.offset[0], strict=True))
    role = centering.role_offset[0]
    own = np.stack([offsets.get(x, role) for x in identified])
    soft = normalize(data["q"] - sure * own - (1 - sure) * role)
    sides = {
        "true": centering.transform(data["q"], true.tolist(), "query"),
        "identified": centering.transform(data["q"], identified.tolist(), "query"),
        "by probability": soft.astype(np.float32),
        "mean of all queries": normalize(data["q"] - role).astype(np.float32),
    }
    short = z["characters"][data["rows"]] <= SHORT
    found: dict = {
        "short": float(short.mean()),
        "right": float((identified == true).mean()),
        "right, short": float((identified == true)[short].mean()) if short.any() else None,
    }
    for name, queries in sides.items():
        values = measure_one(queries, passages, None, data)
        found[name] = {m: macro(values[m], true) for m in ("monolingual", "multilingual")}
    return found


def _hub_corrections(vectors: CollectionVectors, data: dict) -> dict:
    """Other numbers of neighbors and of highest scores that are left out, after centering."""
    centering = fit_on_collection("centering", vectors)
    moved = vectors.transformed(centering)
    queries = centering.transform(data["q"], data["ql"].tolist(), "query")
    found = {}
    for neighbors, skipped in ((3, 0), (10, 0), (10, 10), (10, 20), (30, 0), (30, 10)):
        hubs = HubCorrection(normalize(moved.queries), neighbors, skipped)
        values = measure_one(
            hubs.transform(queries, None, "query"), hubs.transform(moved.passages), None, data
        )
        found[f"{neighbors} after {skipped}"] = {m: macro(v, data["ql"]) for m, v in values.items()}
    return found


def _curves(vectors: CollectionVectors, data: dict) -> dict:
    """Centering fitted on so many queries, or so many passages, a language; two draws each."""
    found: dict[str, dict] = {"queries a language": {}, "passages a language": {}}
    for size in (1, 3, 10, 30, 100, 300, 1000):
        if size <= np.unique(vectors.query_languages, return_counts=True)[1].max():
            drawn = [_centered(_part(vectors, size, None, seed), data) for seed in (0, 1)]
            found["queries a language"][str(size)] = drawn
    for size in (5, 20, 50, 100, 500, 2000):
        if size <= np.unique(vectors.passage_languages, return_counts=True)[1].max():
            drawn = [_centered(_part(vectors, None, size, seed), data) for seed in (0, 1)]
            found["passages a language"][str(size)] = drawn
    return found


def _part(
    vectors: CollectionVectors, queries: int | None, passages: int | None, seed: int
) -> CollectionVectors:
    """Return so many queries and passages of each language, at random."""
    rng = np.random.default_rng(seed)

    def rows(languages: np.ndarray, size: int | None) -> np.ndarray:
        if size is None:
            return np.arange(len(languages))
        return np.concatenate(
            [rng.permutation(np.flatnonzero(languages == x))[:size] for x in np.unique(languages)]
        )

    q, p = rows(vectors.query_languages, queries), rows(vectors.passage_languages, passages)
    return CollectionVectors(
        vectors.queries[q], vectors.query_languages[q],
        vectors.passages[p], vectors.passage_languages[p],
    )  # fmt: skip


def _centered(fitted_on: CollectionVectors, data: dict) -> dict:
    transform = fit_on_collection("centering", fitted_on)
    queries = transform.transform(data["q"], data["ql"].tolist(), "query")
    passages = transform.transform(data["p"], data["pl"].tolist(), "passage")
    values = measure_one(queries, passages, None, data)
    found = {m: macro(values[m], data["ql"]) for m in ("monolingual", "multilingual")}
    return {**found, "variance by language": _variance(passages, data["pl"])}


def _variance(passages: np.ndarray, languages: np.ndarray) -> float:
    """The share of the variance that language explains."""
    codes = np.unique(languages).tolist()
    means = {x: passages[languages == x].mean(0) for x in codes}
    return language_variance(means, {x: int((languages == x).sum()) for x in codes})


def _items(z: dict[str, np.ndarray]) -> tuple[KnownItems, Pool, int]:
    """The known items of a collection, the sample of its passages, and how many are translated."""
    rows = z["item_rows"]
    languages = z["passage_languages"][rows]
    n = len(rows)
    empty = Rows([str(i) for i in rows], languages.tolist(), [""] * n, [""] * n, [""] * n)
    passages = normalize(z["item_passages"]).astype(np.float32)
    pool = Pool(passages, languages, group_numbers(empty), {}, {})
    compared = [x for x in np.unique(languages).tolist() if (languages == x).sum() >= 30]
    found_by = z["passages"][rows] if z["item_type"] == BEGINNING else pool.vectors
    links = find_translations(normalize(found_by).astype(np.float32), languages, compared)
    used = len(links.pairs) >= MIN_LINKS and links.precision >= MIN_PRECISION
    if used:
        pool = Pool(passages, languages, links.groups, {}, {})
    queries = normalize(z["item_queries"]).astype(np.float32)
    items = make_items("first sentence", queries, z["item_query_rows"], languages, pool.groups, 0)
    return items, pool, len(links.pairs) if used else 0


def _pairs(
    z: dict[str, np.ndarray], kept: np.ndarray, items: KnownItems, pool: Pool, links: int
) -> KnownPairs | None:
    """The known items as what a transform is trained on, beside the passages that are searched.

    They are made of passages that are searched; the queries that are measured have no part in them.
    """
    if not links:
        return None
    groups = np.arange(len(z["passages"])) + pool.groups.max() + 1  # alone, unless sampled
    groups[z["item_rows"]] = pool.groups
    return KnownPairs(items.vectors, items.languages, items.groups, groups[kept])


def _choice(model: str, items: KnownItems, pool: Pool, links: int) -> dict:
    queries = items.vectors
    names = transforms_to_try(model, items, pool, len(queries) // 2)
    trials = try_candidates(items, pool, names)
    steps, reason = choose_steps(trials)
    return {
        "steps": steps,
        "reason": reason,
        "items": len(queries),
        "translations": links,
        "trials": {
            t.candidate: {
                "pool": t.pooled,
                "gain": [t.gain, t.gain_low, t.gain_high],
                "one language": [t.change_alone, t.change_alone_low],
            }
            for t in trials.trials
        },
    }


def main() -> None:
    """Measure what is encoded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, required=True)
    given = parser.parse_args()
    content = json.loads(OUT.read_text()) if OUT.exists() else {}
    for path in sorted(given.vectors.glob("*.npz")):
        if path.stem not in content:
            content[path.stem] = measure(path)
            print(path.stem, json.dumps(content[path.stem]["measured"]), flush=True)
            print(content[path.stem].get("choice", {}).get("reason"), flush=True)
            content["versions"] = library_versions()
            OUT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
