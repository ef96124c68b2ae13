"""Transforms fitted on a collection's own vectors, and their forms: NumPy, files, models."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.debiasing.collection import (
    CollectionVectors,
    fit_on_collection,
    parse_steps,
    role_means,
    steps_for,
)
from mixling.debiasing.files import load_transform
from mixling.debiasing.known_pairs import KnownPairs
from mixling.debiasing.write_model import write_debiased
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.transforms.chain import ChainedTransform
from mixling.transforms.files import read_transform, write_transform
from mixling.transforms.hub_correction import HubCorrection
from mixling.transforms.transforms import AffineTransform, LanguageTransform, normalize

LANGUAGES = np.array(["ar", "de", "en"])


def unit(rng, n, dim):
    return normalize(rng.normal(size=(n, dim))).astype(np.float32)


def collection(seed=0, n=240, dim=32):
    """Passages and queries with an offset of their language and of their role."""
    rng = np.random.default_rng(seed)
    language = np.arange(n) % 3
    offset, role = rng.normal(size=(3, dim)), rng.normal(size=dim)
    meaning = rng.normal(size=(n, dim))
    noise = 0.3 * rng.normal(size=(n, dim))
    return CollectionVectors(
        normalize(meaning + noise + offset[language] + role).astype(np.float32),
        LANGUAGES[language],
        normalize(meaning + offset[language]).astype(np.float32),
        LANGUAGES[language],
    )


def answers_first(queries, passages):
    return float(np.mean((queries @ passages.T).argmax(1) == np.arange(len(queries))))


@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
@settings(deadline=None, max_examples=30)
def test_the_dot_product_is_the_corrected_score(seed, neighbors, skipped, weight):
    rng = np.random.default_rng(seed)
    queries, passages, references = (unit(rng, n, 8) for n in (5, 12, 7))
    hubs = HubCorrection(references, neighbors, skipped, weight)
    q, p = hubs.transform(queries, None, "query"), hubs.transform(passages, None, "passage")
    assert q.shape[1] == p.shape[1] == hubs.output_dimensions == 10
    for vectors in (q, p):
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-5)
    best = np.sort(passages @ references.T, axis=1)[:, ::-1]
    best = best[:, skipped : skipped + neighbors].mean(1)
    expected = queries @ passages.T - weight / 2 * best
    assert q @ p.T * np.sqrt(2 * (1 + weight**2 / 4)) == pytest.approx(expected, abs=1e-5)


def test_a_hub_loses_its_place_and_others_keep_theirs():
    rng = np.random.default_rng(0)
    references = unit(rng, 200, 16)
    hub = normalize(references.mean(0, keepdims=True)).astype(np.float32)
    queries = unit(rng, 50, 16)
    passages = np.vstack([normalize(queries + 0.5 * unit(rng, 50, 16)), hub]).astype(np.float32)
    hubs = HubCorrection(references, 10, 0)
    score = hubs.hub_scores(passages)
    assert score[-1] > score[:-1].mean()
    moved = hubs.transform(passages, None, "passage")
    plain = (queries @ passages.T).argsort(1)
    ranks = (hubs.transform(queries, None, "query") @ moved.T).argsort(1)
    assert np.argwhere(ranks == 50)[:, 1].mean() < np.argwhere(plain == 50)[:, 1].mean()


def test_centering_takes_language_and_role_out_and_finds_more():
    vectors = collection()
    before = answers_first(vectors.queries, vectors.passages)
    transform = fit_on_collection("centering", vectors)
    moved = vectors.transformed(transform)
    for found, language in (
        (moved.queries, vectors.query_languages),
        (moved.passages, vectors.passage_languages),
    ):
        means = np.stack([found[language == x].mean(0) for x in LANGUAGES])
        assert np.linalg.norm(means, axis=1).max() < 0.15
    assert answers_first(moved.queries, moved.passages) > before
    assert transform.metadata["method"] == "centering"
    assert transform.by_role
    assert transform.languages == ("ar", "de", "en")


def test_a_language_that_the_transform_does_not_know_gets_the_offset_of_its_role():
    vectors = collection()
    transform = fit_on_collection("centering", vectors)
    roles = fit_on_collection("roles", vectors)
    for role in ("query", "passage"):
        unknown = transform.transform(vectors.queries[:9], ["sw", ""] * 4 + ["und"], role)
        assert unknown == pytest.approx(roles.transform(vectors.queries[:9], None, role), abs=1e-6)


def test_few_queries_are_shrunk_towards_the_shift_of_all_languages():
    vectors = collection(n=600)
    full_codes, full, _ = role_means(vectors, prior=0)
    kept = np.flatnonzero(vectors.query_languages != "ar")[:60]
    few = CollectionVectors(
        vectors.queries[kept],
        vectors.query_languages[kept],
        vectors.passages,
        vectors.passage_languages,
    )
    codes, means, _ = role_means(few)
    assert codes == full_codes == ["ar", "de", "en"]
    # Arabic has passages and no query: its passage mean plus the shift that the others share
    distance = np.linalg.norm(means[0, 0] - full[0, 0])
    assert distance < 0.5 * np.linalg.norm(full[1, 0] - full[0, 0])


def test_the_means_of_the_whole_collection_stand_for_those_of_the_sample():
    vectors = collection()
    means = {x: np.full(32, i / 10, np.float32) for i, x in enumerate(LANGUAGES.tolist())}
    means["sw"] = np.ones(32, np.float32)
    given_means = CollectionVectors(
        vectors.queries,
        vectors.query_languages,
        vectors.passages,
        vectors.passage_languages,
        means,
        dict.fromkeys(means, 10**6),
    )
    codes, found, _ = role_means(given_means)
    assert codes == ["ar", "de", "en", "sw"]
    assert found[1] == pytest.approx(np.stack([means[x] for x in codes]), abs=1e-4)


@pytest.mark.parametrize(
    "steps", ["language", "roles", "centering", "lsar", "centering+hubs", "roles+hubs"]
)
def test_files_scripts_and_models_compute_the_same(steps, chain, tmp_path):
    vectors = collection()
    transform = fit_on_collection(steps, vectors)
    expected = {
        role: transform.transform(vectors.passages[:20], LANGUAGES.tolist() * 6 + ["sw", ""], role)
        for role in ("query", "passage")
    }
    folder = tmp_path / "transform"
    folder.mkdir()
    write_transform(transform, folder)
    read = read_transform(folder)
    assert type(read) is type(transform)
    assert read.metadata["method"] == steps
    np.save(tmp_path / "in.npy", vectors.passages[:20])
    languages = "\n".join(LANGUAGES.tolist() * 6 + ["sw", "xx"])
    (tmp_path / "languages.txt").write_text(languages)
    for role, result in expected.items():
        again = read.transform(vectors.passages[:20], LANGUAGES.tolist() * 6 + ["sw", ""], role)
        assert again == pytest.approx(result, abs=1e-6)
        arguments = ["in.npy", "out.npy"]
        if steps != "lsar":  # one affine transform has a script that needs no role
            arguments = ["in.npy", role, "out.npy", "languages.txt"]
        script = [sys.executable, str(folder / "apply.py"), *arguments]
        subprocess.run(script, cwd=tmp_path, check=True)
        assert np.load(tmp_path / "out.npy") == pytest.approx(result, abs=1e-5)


@pytest.mark.parametrize("steps", ["roles", "centering", "centering+hubs"])
def test_a_model_behind_the_transform_is_an_ordinary_folder(steps, chain, tmp_path):
    plain = Retriever(str(chain))
    transform = fit_on_collection(steps, collection())
    write_debiased(plain, transform, steps, tmp_path / "fair", {"model": str(chain)})
    texts = ["Der Fluss ist tief.", "The river is deep.", "Mto ni wenye kina."]
    languages = ["de", "en", "sw"]
    for role in ("query", "passage"):
        fair = Retriever(str(tmp_path / "fair"))
        assert fair.dimensions == transform.output_dimensions
        vectors = fair.encode(texts, role, languages=languages, precision="fp32")
        expected = transform.transform(plain.encode(texts, role, precision="fp32"), languages, role)
        assert vectors == pytest.approx(expected, abs=1e-5)
    again = load_transform(str(tmp_path / "fair"))
    assert again.output_dimensions == transform.output_dimensions
    # loaded a second time it is written with its parts, not with those of another model
    assert again.transform(expected[:, :32], languages, "query").shape == expected.shape


def test_what_cannot_be_fitted_is_refused(tmp_path):
    vectors = collection()
    none = np.zeros((0, 32), np.float32)
    without = CollectionVectors(none, np.zeros(0, str), vectors.passages, vectors.passage_languages)
    few = CollectionVectors(
        vectors.queries[:50],
        vectors.query_languages[:50],
        vectors.passages,
        vectors.passage_languages,
    )
    with pytest.raises(MixlingError, match="needs the means of queries"):
        fit_on_collection("centering", without)
    with pytest.raises(MixlingError, match="hubs needs 200 queries or more, and there are 50"):
        fit_on_collection("centering+hubs", few)
    with pytest.raises(MixlingError, match="balanced is for vectors of 384 numbers"):
        fit_on_collection("balanced", vectors)
    with pytest.raises(MixlingError, match="hubs must be the last"):
        parse_steps("hubs+centering")
    with pytest.raises(MixlingError, match="balanced must be the first"):
        parse_steps("centering+balanced")
    with pytest.raises(MixlingError, match="step of a transform"):
        parse_steps("centring")
    one = AffineTransform(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    two = AffineTransform(np.eye(4, dtype=np.float32), np.zeros(4, np.float32))
    with pytest.raises(MixlingError, match="gives vectors of 3 numbers"):
        ChainedTransform((one, two))
    with pytest.raises(MixlingError, match="has 2 reference queries"):
        HubCorrection(np.eye(2, 4, dtype=np.float32), 3, 0)
    with pytest.raises(MixlingError, match="NaN or infinity"):
        LanguageTransform(
            (),
            np.zeros((2, 0, 2), np.float32),
            np.zeros((0, 0, 2), np.float32),
            role_offset=np.full((2, 2), np.nan, np.float32),
        )


def with_nuisance(groups, seed=0, dim=32):
    """Texts in three languages whose last dimensions are noise, larger than their meaning."""
    rng = np.random.default_rng(seed)
    mix = np.linalg.qr(np.random.default_rng(1).normal(size=(dim, dim)))[0]

    def vectors():
        rows = np.repeat(np.random.default_rng(7).normal(size=(1000, dim // 2)), 3, 0)
        meaning = rows[: 3 * groups] if seed == 0 else rows[-3 * groups :]
        noise = 1.5 * rng.normal(size=(3 * groups, dim // 2))
        return normalize(np.hstack([meaning, noise]) @ mix).astype(np.float32)

    return vectors(), vectors(), np.tile(LANGUAGES, groups), np.repeat(np.arange(groups), 3)


def test_a_trained_transform_keeps_what_translations_share_and_holds_for_other_texts():
    queries, passages, languages, groups = with_nuisance(200)
    none = (np.zeros((0, 32), np.float32), np.zeros(0, str))
    known = KnownPairs(queries, languages, groups, groups)
    vectors = CollectionVectors(*none, passages, languages, known=known)
    transform = fit_on_collection("trained", vectors)
    assert transform.metadata["known_items"] == 200 and transform.metadata["method"] == "trained"
    queries, passages, languages, groups = with_nuisance(100, seed=1)  # none of these was seen

    def precision(queries, passages):
        found = np.argsort(-(queries @ passages.T), axis=1)[:, :3]
        return float((groups[found] == groups[:, None]).mean())

    moved = [transform.transform(x, languages, r) for x, r in ((queries, "query"), (passages, ""))]
    assert precision(*moved) > precision(queries, passages) + 0.1
    assert fit_on_collection("trained", vectors).matrix == pytest.approx(transform.matrix)


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 20), st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_known_items_with_an_answer_in_another_language_are_counted(seed, n, m, groups):
    rng = np.random.default_rng(seed)
    of_passages, passage_groups = rng.choice(LANGUAGES, n), rng.integers(0, groups, n)
    of_queries, query_groups = rng.choice(LANGUAGES, m), rng.integers(0, groups, m)
    pairs = KnownPairs(np.zeros((m, 4), np.float32), of_queries, query_groups, passage_groups)
    expected = sum(
        any(g == h and a != b for h, b in zip(passage_groups, of_passages, strict=True))
        for g, a in zip(query_groups, of_queries, strict=True)
    )
    assert pairs.across_languages(of_passages) == expected


def test_a_transform_is_not_trained_on_too_little():
    queries, passages, languages, groups = with_nuisance(60)
    none = (np.zeros((0, 32), np.float32), np.zeros(0, str))
    few = KnownPairs(queries[:90], languages[:90], groups[:90], groups)
    alone = KnownPairs(queries, languages, groups, np.arange(len(groups)) + 1000)
    rare = KnownPairs(queries[::3], languages[::3], groups[::3], groups)  # one language asks
    for known, message in (
        (None, "needs titles or first sentences"),
        (few, "there are 90"),
        (alone, "there are 0"),
        (replace(rare, queries=rare.queries.repeat(2, 0), languages=rare.languages.repeat(2),
                 groups=rare.groups.repeat(2)), "two languages with 32"),
    ):  # fmt: skip
        with pytest.raises(MixlingError, match=message):
            fit_on_collection("trained", CollectionVectors(*none, passages, languages, known=known))


def test_only_what_a_model_and_its_queries_allow_is_tried():
    from mixling.models.weights import DEFAULT

    assert "balanced+centering+hubs" in steps_for(DEFAULT, 1000)
    assert not any("balanced" in x for x in steps_for("openai:text-embedding-3-small", 1000))
    assert not any("hubs" in x for x in steps_for(DEFAULT, 50))
    assert steps_for("x", 0) == ["language", "lsar"]
    assert steps_for("x", 0, 199) == ["language", "lsar"]
    assert steps_for("x", 0, 200) == ["language", "lsar", "language+trained"]
    assert "centering+trained+hubs" in steps_for("x", 500, 500)


def test_centering_by_language_needs_no_queries_and_keeps_what_roles_share():
    vectors = collection()
    none = CollectionVectors(
        np.zeros((0, 32), np.float32), np.zeros(0, str), vectors.passages, vectors.passage_languages
    )
    transform = fit_on_collection("language", none)
    assert not transform.by_role
    moved = vectors.transformed(transform)
    before = np.stack([vectors.passages[vectors.passage_languages == x].mean(0) for x in LANGUAGES])
    after = np.stack([moved.passages[moved.passage_languages == x].mean(0) for x in LANGUAGES])
    spread = [np.linalg.norm(x - x.mean(0), axis=1).max() for x in (before, after)]
    assert spread[1] < 0.25 * spread[0]
    # the mean of all stays: a text in an unknown language keeps its vector
    unknown = transform.transform(vectors.queries[:3], ["sw"] * 3, "query")
    assert unknown == pytest.approx(vectors.queries[:3], abs=1e-6)


def test_a_transform_by_role_is_not_exported(chain, tmp_path):
    from mixling.models.onnx import export_onnx

    transform = fit_on_collection("lsar+hubs", collection())
    write_debiased(Retriever(str(chain)), transform, "lsar+hubs", tmp_path / "fair", {"model": "m"})
    with pytest.raises(
        MixlingError, match="language or the role of each text, which an ONNX server"
    ):
        export_onnx(str(tmp_path / "fair"), tmp_path / "exported")
    assert not (tmp_path / "exported").exists()
