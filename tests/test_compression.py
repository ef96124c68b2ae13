"""What studies.compression stores, searches and tests."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from docs import compression as page
from docs import figures as figures_of_docs
from docs.figures import ROOT
from studies import compression
from studies.compression_measures import OTHERS, Scores, changes, correct, figures, kept
from studies.quantizers import (
    COMPRESSIONS,
    WAYS,
    Int8,
    ProductQuantizer,
    TwoStages,
    Vectors,
    pca,
    scorers,
    signs,
    stored_bytes,
    truncation,
)

from mixling.debiasing.debias import read_source
from mixling.debiasing.embedded_corpus import embed_corpus
from mixling.debiasing.lsar import Lsar
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.evaluation.ranks import DotScorer, compute_ranks
from mixling.models.functions import FunctionEncoder
from mixling.transforms.transforms import normalize

DIM, QUERIES, PASSAGES = 16, 12, 60
LANGUAGE = np.arange(PASSAGES) % 3
IDS = [f"{i:03d}" for i in range(PASSAGES)]
RELEVANT = np.stack([np.repeat(np.arange(QUERIES), 5), np.arange(PASSAGES)], 1)


def unit(n, seed, dim=DIM):
    """Random vectors of length one."""
    return normalize(np.random.default_rng(seed).normal(0.2, 1, (n, dim))).astype(np.float32)


@pytest.fixture(scope="module")
def vectors():
    return Vectors(unit(QUERIES, 0), unit(PASSAGES, 1), unit(300, 2))


def ranked(scorer):
    return compute_ranks(scorer, QUERIES, LANGUAGE, RELEVANT, IDS, depth=PASSAGES)


def test_int8_loses_half_a_step_and_cuts_off_what_is_outside(vectors):
    codes = Int8.fit(vectors.calibration)
    inside = vectors.calibration
    decoded = codes.decode(codes.encode(inside))
    assert codes.encode(inside).dtype == np.int8
    assert (np.abs(decoded - inside) <= codes.step / 2 + 1e-6).all()
    assert (codes.encode(decoded) == codes.encode(inside)).all()
    assert codes.encode(inside).min() == -128 and codes.encode(inside).max() == 127
    assert (codes.encode(np.full((1, DIM), 9, np.float32)) == 127).all()


def test_a_dimension_that_never_changes_is_kept():
    same = np.full((5, 3), 0.25, np.float32)
    codes = Int8.fit(same)
    assert codes.decode(codes.encode(same)) == pytest.approx(same)


def test_product_quantization_keeps_its_centroids_and_finds_the_nearest(vectors):
    codes = ProductQuantizer.fit(vectors.calibration, 4)
    assert codes.centroids.shape == (4, 256, 4)
    stored = codes.encode(vectors.passages)
    assert stored.dtype == np.uint8 and stored.shape == (PASSAGES, 4)
    decoded = codes.decode(stored)
    assert (codes.encode(decoded) == stored).all()
    parts = vectors.passages.reshape(PASSAGES, 4, 1, 4)
    nearest = ((parts - codes.centroids) ** 2).sum(-1).argmin(-1)
    assert (stored == nearest).all()
    coarse = ProductQuantizer.fit(vectors.calibration, 8)
    again = coarse.decode(coarse.encode(vectors.passages))
    error, coarse_error = (np.square(x - vectors.passages).sum() for x in (decoded, again))
    assert 0 < error < coarse_error < 0.6 * PASSAGES


def test_the_score_of_signs_is_the_hamming_distance(vectors):
    queries, passages = (np.packbits(x > 0, axis=1) for x in vectors[:2])
    hamming = np.bitwise_count(queries[:, None] ^ passages).sum(2)
    scores = DotScorer(signs(vectors.queries), signs(vectors.passages))(0, QUERIES)
    assert (scores == DIM - 2 * hamming.astype(int)).all()


def test_rescoring_all_passages_is_the_uncompressed_ranking(vectors):
    exact = DotScorer(*vectors[:2])
    drawn = DotScorer(*WAYS["binary"].sides(vectors))
    pools = [np.arange(PASSAGES)], [np.flatnonzero(x == LANGUAGE) for x in range(3)]
    wanted = ranked(exact)
    whole, alone = (ranked(TwoStages(drawn, exact, PASSAGES, IDS, x)) for x in pools)
    assert (whole.top == wanted.top).all() and (whole.multilingual == wanted.multilingual).all()
    assert (alone.within_language == wanted.within_language).all()
    assert (wanted.top != ranked(drawn).top).any()


def test_only_candidates_are_ordered_anew(vectors):
    exact, drawn = (DotScorer(*WAYS[x].sides(vectors)) for x in ("float32", "binary"))
    stages = TwoStages(drawn, exact, 7, IDS, [np.arange(PASSAGES)])
    first, both = ranked(drawn).top, ranked(stages).top
    assert (both[:, 7:] == first[:, 7:]).all()
    scores = exact(0, QUERIES)
    for query in range(QUERIES):
        candidates = first[query, :7]
        assert (both[query, :7] == candidates[np.argsort(-scores[query, candidates])]).all()


def test_a_search_in_one_language_draws_its_candidates_there(vectors):
    pool, alone = scorers("binary, 40 rescored by float32", vectors, LANGUAGE, IDS)
    # twenty passages a language: all are candidates there, but not in the pool of sixty
    wanted = ranked(DotScorer(*vectors[:2]))
    assert (ranked(alone).within_language == wanted.within_language).all()
    assert (ranked(pool).multilingual != wanted.multilingual).any()


def test_reductions(vectors):
    half = truncation(vectors.calibration, 1 / 2)(vectors.passages)
    assert half == pytest.approx(normalize(vectors.passages[:, : DIM // 2]), abs=1e-6)
    whole = pca(vectors.calibration, 1.0, keep_mean=True)
    scores = whole(vectors.queries) @ whole(vectors.passages).T
    assert scores == pytest.approx(vectors.queries @ vectors.passages.T, abs=1e-5)
    kept = pca(vectors.calibration, 1 / 4)
    assert kept.matrix @ kept.matrix.T == pytest.approx(np.eye(DIM // 4), abs=1e-5)
    centered = vectors.calibration - vectors.calibration.mean(0)
    variance = np.square(centered @ kept.matrix.T).sum()
    assert variance > np.square(centered[:, : DIM // 4]).sum()


def test_bytes_of_a_vector():
    found = {x: stored_bytes(x, 384) for x in COMPRESSIONS}
    assert found["float32"] == [1536] and found["int8"] == [384]
    assert found["quarter of the dimensions"] == [384] and found["mean removed"] == [1536]
    assert found["binary"] == found["PQ, 8 dimensions a byte"] == [48]
    assert found["PQ, 4 dimensions a byte"] == [96]
    assert found["binary, 40 rescored by float queries"] == [48]
    assert found["binary at the mean, 40 rescored by int8"] == [48, 384]


@pytest.fixture
def scores():
    """Two languages, thirty groups: a query in each, which looks in both and in the pool."""
    group = np.repeat(np.arange(30).astype(str), 2)
    language = np.tile(["de", "th"], 30)
    other = np.tile(["de-th", "th-de"], 30)
    figure = {"monolingual": 0.8, "cross-lingual": 0.5, "multilingual": 0.4, "rank distance": 100.0}
    noise = np.random.default_rng(0).normal(0, 0.01, 60)
    return Scores(
        {k: v * (1 + noise) for k, v in figure.items()},
        dict.fromkeys(figure, group),
        {k: other if k == "cross-lingual" else language for k in figure},
    )


def test_other_languages_pay_more_where_they_do(scores):
    share = {"monolingual": 0.9, "cross-lingual": 0.6, "multilingual": 0.9, "rank distance": 2}
    after = replace(scores, values={k: v * share[k] for k, v in scores.values.items()})
    shares, compared = kept(scores, after)
    assert shares == pytest.approx({k: share[k] for k in ("monolingual", *OTHERS)})
    cross, pool = (compared[x] for x in OTHERS)
    assert cross["difference"] == pytest.approx(-0.3) and cross["p"] < 0.001
    assert cross["low"] <= cross["difference"] + 1e-9 and cross["high"] < -0.29
    assert pool["difference"] == pytest.approx(0, abs=1e-9)
    assert changes(scores, after)["rank distance"]["difference"] == pytest.approx(100, rel=0.01)
    found = figures(after)
    low, high = found["intervals"]["monolingual"]
    assert low < found["monolingual"] < high and found["monolingual"] == pytest.approx(0.72, 0.01)


def test_p_values_are_corrected_within_a_family():
    rows = [
        {"task": task, "change": {"mAP": {"p": p}}, "kept, less monolingual": {"x": {"p": 0.5}}}
        for task, p in (("a", 0.01), ("a", 0.04), ("b", 0.04))
    ]
    correct([*rows, {"task": "a"}], ("task",))
    assert [r["change"]["mAP"]["p_holm"] for r in rows] == pytest.approx([0.02, 0.04, 0.04])
    assert rows[0]["kept, less monolingual"]["x"]["p_holm"] == 1


@pytest.fixture
def measured(tmp_path):
    """The sample behind an encoder of character pairs, with its own texts for the fits."""

    def encode(texts, role):
        found = np.full((len(texts), DIM), 0.05, np.float32)
        for row, text in zip(found, texts, strict=True):
            np.add.at(row, [(ord(a) * 31 + ord(b)) % DIM for a, b in pairwise(text)], 1)
        return found

    encoder = FunctionEncoder(encode)
    setup = compression.Setup("tiny", ("sample",), (), {"LSAR": Lsar(rank=2)})
    fits = compression.Fits(setup, tmp_path)
    corpus, _ = read_source("sample", ["all"])
    fits.encoder = encoder
    fits.sentences = embed_corpus(corpus, lambda x, role, _: encoder.encode(x, role), False)
    return compression.Measured(load_task("sample"), fits)


def test_float32_has_the_figures_of_an_evaluation(measured):
    entry = measure(measured.fits.encoder, ["sample"]).summary["tasks"]["sample"]
    found = figures(measured.scores("zero-shot", compression.ORDERS[0], "float32"))
    for scenario in ("monolingual", "cross-lingual", "multilingual"):
        assert found[scenario] == pytest.approx(entry[scenario]["mAP"])
        assert found["intervals"][scenario] == pytest.approx(entry["intervals"][scenario]["mAP"])
    assert found["rank distance"] == pytest.approx(entry["bias"]["rank_distance"])


def test_every_combination_is_measured_once(measured, monkeypatch):
    names = ("float32", "float16", "quarter of the dimensions", "PQ, 4 dimensions a byte")
    chosen = [
        (order, name)
        for order, name in compression.combinations("LSAR")
        if name in (*names, "binary, 40 rescored by float32")
    ]
    assert len(chosen) == 8
    monkeypatch.setattr(compression, "combinations", lambda transform: iter(chosen))
    key = {"encoder": "tiny", "task": "sample", "transform": "LSAR"}
    rows = list(compression.measure(measured, key, set()))
    assert "change" not in rows[0] and rows[0]["compression"] == "float32"
    assert rows[1]["kept"]["cross-lingual"] == pytest.approx(1, abs=0.01)
    assert [("change by order" in r) for r in rows] == [
        r["order"] != rows[0]["order"] for r in rows
    ]
    done = {(*key.values(), r["order"], r["compression"]) for r in rows}
    assert len(done) == 8 and not list(compression.measure(measured, key, done))


def result(cross):
    """A result of the study in which cross-lingual search keeps so much of every compression."""

    def test(difference):
        p = 1.0 if difference == 0 else 0.001
        return {"difference": difference, "low": difference, "high": difference, "p_holm": p}

    rows = []
    for encoder, task in ((page.E5, "xquad-r"), ("use", "xquad-r@de,th")):
        for transform in page.TRANSFORMS:
            for order, name in compression.combinations(transform):
                row = {"encoder": encoder, "task": task, "transform": transform, "order": order}
                row |= {"compression": name, "bytes": stored_bytes(name, 384)}
                row |= {"monolingual": 0.8, "cross-lingual": 0.6, "multilingual": 0.3}
                row |= {"rank distance": 1000.0}
                if name != "float32":
                    share = 1 if name in ("float16", "int8") else cross
                    shares = {"monolingual": 0.9, "cross-lingual": share, "multilingual": share}
                    row["kept"] = shares
                    row[page.KEPT] = dict.fromkeys(OTHERS, test(share - 0.9))
                    row["change"] = dict.fromkeys(
                        ("monolingual", *OTHERS), test(0 if share == 1 else -0.1)
                    )
                if order == compression.ORDERS[1]:
                    row["change by order"] = {"multilingual": test(-0.1)}
                rows.append(row)
    return {"rows": rows}


@pytest.mark.parametrize(
    ("cross", "verdict"), [(0.7, "**Yes: all 18 compressions that lose"), (0.9, "**No: no")]
)
def test_the_page_says_what_the_result_says(cross, verdict, monkeypatch):
    monkeypatch.setattr(page.trials, "study_result", lambda name: result(cross))
    text = (ROOT / page.PAGE).read_text()
    made = {**page.texts(), **{k: figures_of_docs.rows_of(v) for k, v in page.tables().items()}}
    assert set(re.findall("<!-- (compression.*) -->", text)) == set(made)
    assert made["compression answer"].startswith(verdict)
    assert "float16 and int8 lose nothing that" in made["compression answer"]
    assert "| binary, 40 rescored by int8 | 48 + 384 | 0.800 |" in made["compression"]
    assert made["compression findings"].count("\n- ") == 5
    assert list(page.pictures()) == ["images/results-compression.svg"]
