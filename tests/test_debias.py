"""Transforms of vectors: against packages, as files, in plain sentence-transformers."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.corpora import sample
from mixling.corpora.sources.bitext import parallel_corpus
from mixling.debiasing.debias import debias, fit_transform
from mixling.debiasing.embedded_corpus import (
    EmbeddedCorpus,
    all_vectors,
    concatenate,
    first_groups,
    language_means,
    parallel_subset,
    read_embedded,
)
from mixling.debiasing.files import debias_vectors, load_transform
from mixling.debiasing.leace import erase_concept
from mixling.debiasing.lsar import Lsar, default_rank, language_variation
from mixling.debiasing.registry import METHODS, create_method
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.transforms.transforms import normalize

LANGUAGES, GROUPS, SIZE = ("ar", "de", "en", "sw"), 60, 24


def parallel_vectors(seed=0, bitext=True, strength=1.0):
    """Parallel texts: a vector of the meaning, plus one of the language, plus noise."""
    rng = np.random.default_rng(seed)
    meaning = rng.normal(size=(GROUPS, SIZE))
    language = strength * np.random.default_rng(99).normal(size=(len(LANGUAGES), SIZE))
    rows = [(f"g{g}", code, f"{code} {g}") for g in range(GROUPS) for code in LANGUAGES]
    corpus = parallel_corpus("parallel", *zip(*rows, strict=True))
    vectors = [
        normalize(
            (
                meaning[:, None]
                + language[None]
                + 0.3 * rng.normal(size=(GROUPS, len(LANGUAGES), SIZE))
            ).reshape(-1, SIZE)
        ).astype(np.float32)
        for _ in range(2)
    ]
    return EmbeddedCorpus(corpus, *vectors, bitext)


def bias_of(corpus, transform):
    """Return how far apart the means of languages are, after a transform."""
    distances = []
    for role, vectors, language in (
        ("query", corpus.queries, corpus.query_language()),
        ("passage", corpus.passages, corpus.passage_language()),
    ):
        moved = (
            transform.transform(vectors, language.tolist(), role)
            if transform is not None
            else vectors
        )
        mean = np.stack([moved[language == x].mean(0) for x in LANGUAGES])
        distances.append(np.linalg.norm(mean - mean.mean(0), axis=1).mean())
    return float(np.mean(distances))


@pytest.mark.parametrize("method", ["centering", "lir", "lsar", "leace"])
def test_languages_come_together(method):
    corpus = parallel_vectors()
    # LIR removes each language's first direction, which is its mean only where the mean is most of
    # it
    options = {"rank": 3} if method == "lsar" else {}
    limit = 0.75 if method == "lir" else 0.35
    assert bias_of(
        corpus, fit_transform(create_method(method, options), [corpus])
    ) < limit * bias_of(corpus, None)


@given(st.integers(0, 10**6), st.integers(2, 5))
@settings(deadline=None, max_examples=15)
def test_leace_equals_its_package(seed, languages):
    import torch
    from concept_erasure import LeaceFitter

    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(120) % languages)
    x = rng.normal(size=(120, 8)) + rng.normal(size=(languages, 8))[label]
    matrix, bias = erase_concept(x, label)
    fitter = LeaceFitter.fit(
        torch.from_numpy(x),
        torch.nn.functional.one_hot(torch.from_numpy(label)).double(),
        shrinkage=False,
    )
    assert x @ matrix.T + bias == pytest.approx(
        fitter.eraser(torch.from_numpy(x)).numpy(), abs=1e-6
    )


def test_after_leace_the_means_of_all_languages_are_one():
    corpus = parallel_vectors(3)
    vectors, language = all_vectors([corpus])
    transform = fit_transform("leace", [corpus])
    moved = vectors @ transform.matrix.T + transform.bias
    mean = np.stack([moved[language == x].mean(0) for x in LANGUAGES])
    assert mean == pytest.approx(np.broadcast_to(mean.mean(0), mean.shape), abs=1e-5)


def test_lsar_is_a_projection_that_takes_the_span_of_the_means():
    corpus = parallel_vectors(1)
    transform = Lsar(rank=6).fit([corpus])
    assert transform.matrix @ transform.matrix == pytest.approx(transform.matrix, abs=1e-5)
    _, mean = language_means(corpus)
    centered = (mean - mean.mean(1, keepdims=True)).reshape(-1, SIZE)
    assert centered @ transform.matrix.T == pytest.approx(np.zeros_like(centered), abs=1e-5)


def test_the_default_rank_is_languages_less_one_at_most_a_twenty_fourth_of_the_size():
    assert default_rank(384, 11) == 10 and default_rank(384, 205) == 16 and default_rank(8, 2) == 1
    direction, value, languages = language_variation(parallel_vectors(2))
    assert languages == 4 and direction.shape == (8, SIZE) and (np.diff(value) <= 0).all()


def test_shift_moves_documents_to_the_source_and_leaves_queries():
    corpus = parallel_vectors(4)
    transform = fit_transform(create_method("shift", {"alpha": 1.0}), [corpus])
    language = corpus.passage_language()
    moved = transform.transform_raw(corpus.passages, language.tolist(), "passage")
    assert moved[language == "en"] == pytest.approx(corpus.passages[language == "en"])
    for code in LANGUAGES:
        assert moved[language == code].mean(0) == pytest.approx(
            corpus.passages[language == "en"].mean(0), abs=1e-5
        )
    assert transform.transform_raw(corpus.queries, language.tolist(), "query") == pytest.approx(
        corpus.queries
    )
    with pytest.raises(MixlingError, match="'fi'"):
        fit_transform(create_method("shift", {"source": "fi"}), [corpus])


def test_a_text_of_an_unknown_language_stays_as_it_is():
    corpus = parallel_vectors(5)
    transform = fit_transform("centering", [corpus])
    assert transform.transform_raw(corpus.passages[:3], ["fi"] * 3, "passage") == pytest.approx(
        corpus.passages[:3]
    )


def accuracy(corpus, transform):
    """Return the share of queries whose first passage, their own text aside, is a translation."""
    group = np.array(corpus.corpus.queries["group"].to_pylist())
    q = (
        transform.transform(corpus.queries, corpus.query_language().tolist(), "query")
        if transform
        else corpus.queries
    )
    p = (
        transform.transform(corpus.passages, corpus.passage_language().tolist(), "passage")
        if transform
        else corpus.passages
    )
    scores = q @ p.T
    np.fill_diagonal(scores, -2)
    return float((group[scores.argmax(1)] == group).mean())


def test_a_trained_transform_finds_translations_better_and_is_the_same_every_time():
    pairs, bitext = parallel_vectors(6, bitext=False), parallel_vectors(7)
    recipe = {"steps": 60, "size": 32, "rank": 3}
    transform = fit_transform(create_method("trained", recipe), [pairs, bitext])
    assert accuracy(pairs, transform) > accuracy(pairs, None)
    assert np.array_equal(
        transform.matrix, fit_transform(create_method("trained", recipe), [pairs, bitext]).matrix
    )
    start = fit_transform(create_method("trained", {**recipe, "pull": 1e6}), [pairs, bitext])
    first = fit_transform(create_method("lsar", {"rank": 3, "sharpen": True}), [pairs, bitext])
    assert start.matrix == pytest.approx(first.matrix, abs=0.05)


def test_a_trained_transform_needs_queries_and_answers():
    with pytest.raises(MixlingError, match="--fit mlqa"):
        fit_transform(create_method("trained", {"steps": 1}), [parallel_vectors()])


def test_sharpening_keeps_the_norm_and_stretches_what_differs():
    corpus = parallel_vectors(8)
    plain, sharp = (
        fit_transform(create_method("lsar", {"rank": 3}), [corpus]),
        fit_transform(create_method("lsar", {"rank": 3, "sharpen": 0.3}), [corpus]),
    )
    assert np.linalg.norm(sharp.matrix) == pytest.approx(np.linalg.norm(plain.matrix), rel=1e-4)
    values = [
        np.linalg.eigvalsh(np.cov((corpus.passages @ m.matrix.T).T))[3:] for m in (plain, sharp)
    ]
    assert values[1][-1] / values[1][0] > values[0][-1] / values[0][0]


def test_scores_are_brought_to_one_scale():
    corpus = parallel_vectors(9)
    transform = fit_transform("scores", [corpus])
    assert len(transform.pairs) == 16 and all(d > 0 for _, d in transform.pairs.values())
    assert transform.pairs["en-en"][0] > transform.pairs["en-de"][0]


def test_corpora_are_joined_without_mixing_their_groups():
    both = concatenate([parallel_vectors(1), parallel_vectors(2)])
    assert len(both.corpus.queries) == 2 * GROUPS * 4 and len(both.queries) == len(
        both.corpus.queries
    )
    assert len(set(both.corpus.queries["group"].to_pylist())) == 2 * GROUPS
    language = both.passage_language()
    assert language[: GROUPS * 4].tolist() == parallel_vectors(1).passage_language().tolist()


def test_means_come_from_what_is_in_every_language_where_there_is_enough_of_it():
    """Half of the texts are in one language each, and about another subject.

    They must not move its mean.
    """
    rng = np.random.default_rng(0)
    whole = parallel_vectors(12, bitext=False)
    rows = [(f"x{i}", LANGUAGES[i % 4], f"only {i}") for i in range(200)]
    alone = normalize(rng.normal(size=(200, SIZE)) + 3 * np.eye(SIZE)[np.arange(200) % 4]).astype(
        np.float32
    )
    other = EmbeddedCorpus(parallel_corpus("alone", *zip(*rows, strict=True)), alone, alone)
    both = concatenate([whole, other])
    assert len(parallel_subset(both).queries) == len(whole.queries)
    assert fit_transform(create_method("lsar", {"rank": 3}), [both]).matrix == pytest.approx(
        fit_transform(create_method("lsar", {"rank": 3}), [whole]).matrix, abs=1e-5
    )
    assert len(parallel_subset(other).queries) == 200


def test_few_groups_are_taken_in_all_their_languages():
    corpus = first_groups(parallel_vectors().corpus, 7)
    assert len(corpus.queries) == len(corpus.passages) == 28


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """A source of translations: the sample's passages, as SIB-200's table."""
    monkeypatch.setenv("MIXLING_DATA", str(tmp_path))
    whole = sample.read_sample("all")
    flores = {
        "ar": "arb_Arab",
        "de": "deu_Latn",
        "en": "eng_Latn",
        "sw": "swh_Latn",
        "zh": "zho_Hans",
    }
    names = {g: i for i, g in enumerate(dict.fromkeys(whole.passages["group"].to_pylist()))}
    rows = [
        {"language": flores[x], "split": "train", "index_id": names[g], "category": "", "text": t}
        for t, x, g in zip(
            *(whole.passages[c].to_pylist() for c in ("text", "language", "group")), strict=True
        )
        if x in flores
    ]
    (tmp_path / "sib-200").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sib-200/sib-200.parquet")
    return tmp_path


@pytest.mark.parametrize("method", ["lsar", "leace", "trained"])
def test_one_dense_layer_in_plain_sentence_transformers(method, chain, texts, run):
    from sentence_transformers import SentenceTransformer

    options = (
        ["--fit", "sib-200", "--fit", "sample:all", "--steps", "5"]
        if method == "trained"
        else ["--fit", "sib-200"]
    )
    status, _, err = run("debias", chain, "--method", method, *options, "--out", texts / "out")
    assert status == 0, err
    plain = SentenceTransformer(str(texts / "out"), device="cpu")
    assert [type(m).__name__ for m in plain][-2:] == ["Dense", "Normalize"]
    debiased_model = Retriever(str(texts / "out"))
    words = ["Where is the lake?", "Ziwa liko wapi?"]
    assert plain.encode(["query: " + w for w in words]) == pytest.approx(
        debiased_model.encode(words, "query"), abs=1e-6
    )
    assert (
        debiased_model.origin["debiased"]["method"] == method
        and debiased_model.origin["debiased"]["languages"]
    )
    base = Retriever(str(chain)).encode(words, "query")
    assert not np.allclose(debiased_model.encode(words, "query"), base, atol=1e-3)


@pytest.mark.parametrize("method", ["centering", "lir", "shift"])
def test_transforms_by_language_identify_the_language_or_take_it(method, chain, texts):
    out = texts / "out"
    transform = debias(str(chain), method, ["sib-200"], out)
    debiased_model, base = Retriever(str(out)), Retriever(str(chain))
    assert (
        debiased_model.first_position == base.first_position is not None
    )  # a transform does not keep texts from being packed
    words = ["Das Wasser ist kalt und klar.", "The water is cold and clear."]
    vectors = debiased_model.encode(words, "passage", languages=["de", "en"])
    assert vectors == pytest.approx(debiased_model.encode(words, "passage"), abs=1e-6)
    raw = (
        base.encode_head(base.tokenize(words, "passage"))
        if method == "shift"
        else base.encode(words, "passage")
    )
    assert vectors == pytest.approx(transform.transform(raw, ["de", "en"], "passage"), abs=1e-5)
    if method == "shift":
        assert debiased_model.encode(words, "query") == pytest.approx(
            base.encode(words, "query"), abs=1e-5
        )
    from sentence_transformers import SentenceTransformer

    with pytest.raises(ValueError, match=r"trust_remote_code|mixling\.Retriever"):
        SentenceTransformer(str(out), device="cpu").encode(words)
    trusted = SentenceTransformer(str(out), device="cpu", trust_remote_code=True)
    with pytest.raises(ValueError, match=r"mixling\.Retriever"):
        trusted.encode(words)


def test_calibrated_scores_are_used_in_evaluation(chain, texts):
    from mixling.reports.evaluate import evaluate

    debias(str(chain), "scores", ["sib-200"], texts / "out")
    before, after = (evaluate(str(m), ["sample"]) for m in (chain, texts / "out"))
    share = [
        r.summary["tasks"]["sample"]["bias"]["same_language_share@10_over_pool"]
        for r in (before, after)
    ]
    assert abs(share[1]) < abs(share[0])
    # on one language's passages alone a scale changes nothing
    assert after.value("sample", "monolingual") == pytest.approx(
        before.value("sample", "monolingual")
    )


def write_vectors(folder, corpus):
    folder.mkdir()
    for role, vectors, table in (
        ("query", corpus.queries, corpus.corpus.queries),
        ("passage", corpus.passages, corpus.corpus.passages),
    ):
        rows = {
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), SIZE),
            "language": table["language"],
            "group": table["group"],
            "role": [role] * len(vectors),
        }
        pq.write_table(pa.table(rows), folder / f"{role}.parquet")


@pytest.mark.parametrize("method", [m for m in METHODS if m != "scores"])
def test_vectors_alone_are_enough(method, tmp_path, run):
    corpus = parallel_vectors(10, bitext=False)
    write_vectors(tmp_path / "in", corpus)
    options = ["--steps", "20"] if method == "trained" else []
    status, _, err = run(
        "debias", "--vectors", tmp_path / "in", "-m", method, *options, "-o", tmp_path / "out"
    )
    assert status == 0, err
    moved, _ = read_embedded(tmp_path / "out" / "vectors")
    assert bias_of(moved, None) < 0.9 * bias_of(corpus, None)
    metadata = json.loads((tmp_path / "out" / "transform.json").read_text())
    assert metadata["method"] == method
    if method in ("lsar", "leace", "trained"):
        np.save(tmp_path / "x.npy", corpus.passages)
        command = [
            sys.executable,
            tmp_path / "out" / "apply.py",
            tmp_path / "x.npy",
            tmp_path / "y.npy",
        ]
        subprocess.run(command, check=True)
        assert np.load(tmp_path / "y.npy") == pytest.approx(moved.passages, abs=1e-6)


@pytest.mark.parametrize("method", ["lsar", "centering"])
def test_an_existing_transform_moves_other_vectors(method, chain, texts, run):
    """The transform of a model's folder or of a folder of vectors gives the same vectors again."""
    words, languages = ["Das Wasser ist kalt.", "The water is cold."], ["de", "en"]
    debias(str(chain), method, ["sib-200"], texts / "model")
    base, expected = (
        Retriever(str(m)).encode(words, "passage", languages=languages)
        for m in (chain, texts / "model")
    )
    (texts / "in").mkdir()
    columns = {"vector": list(base), "note": ["a", "b"]}
    if method == "centering":
        columns |= {
            "language": ["deu_Latn", "english"],
            "role": ["passage"] * 2,
        }  # as people write them
    pq.write_table(pa.table(columns), texts / "in" / "one.parquet")
    status, _, err = run(
        "debias", "--vectors", texts / "in", "--transform", texts / "model", "-o", texts / "out"
    )
    assert status == 0, err
    moved = pq.read_table(texts / "out" / "vectors" / "one.parquet")
    assert np.stack(moved["vector"].to_pylist()) == pytest.approx(expected, abs=1e-5)
    assert moved["note"].to_pylist() == ["a", "b"]
    run("debias", "--vectors", texts / "in", "--transform", texts / "out", "-o", texts / "again")
    again = pq.read_table(texts / "again" / "vectors" / "one.parquet")
    assert again["vector"].to_pylist() == moved["vector"].to_pylist()


def test_transforms_that_cannot_be_put_on_vectors(chain, texts, tmp_path, run):
    (texts / "in").mkdir()
    pq.write_table(pa.table({"vector": [[1.0] * 32]}), texts / "in" / "one.parquet")
    debias(str(chain), "shift", ["sib-200"], texts / "shifted")
    for name, options, expected in (
        ("balanced", [], "have 32 numbers, but the transform is for 384"),
        (chain, [], "there is no transform here. Give balanced"),
        (texts / "nowhere", [], "there is no transform here. Give balanced"),
        (texts / "shifted", [], "method 'shift' cannot be applied to stored vectors"),
        ("balanced", ["--rank", "3"], "takes no options"),
    ):
        status, _, err = run(
            "debias", "--vectors", texts / "in", "--transform", name, *options, "-o", texts / "out"
        )
        assert status == 2 and expected in err, (name, err)
        assert not (texts / "out").exists()
    status, _, err = run("debias", chain, "--transform", "balanced", "-o", texts / "out")
    assert status == 2 and "--transform needs --vectors" in err
    debias(str(chain), "centering", ["sib-200"], texts / "centered")
    rows = {"vector": [[1.0] * 32], "language": ["en"], "role": ["document"]}
    pq.write_table(pa.table(rows), texts / "in" / "one.parquet")
    status, _, err = run(
        "debias", "--vectors", texts / "in", "--transform", texts / "centered", "-o", texts / "out"
    )
    assert status == 2 and "found 'document', expected query or passage" in err
    (texts / "in" / "one.parquet").write_text("no table")
    status, _, err = run("debias", "--vectors", texts / "in", "-o", texts / "out")
    assert status == 2 and "not a Parquet file" in err


def test_vectors_are_fitted_as_texts_are(tmp_path):
    corpus = parallel_vectors(11)
    write_vectors(tmp_path / "in", corpus)
    transform = debias_vectors(tmp_path / "in", "lsar", tmp_path / "out")
    assert transform.matrix == pytest.approx(Lsar().fit([corpus]).matrix, abs=1e-5)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["-m", "lasr"], "Did you mean 'lsar'"),
        (["-m", "centering", "--rank", "3"], "no option 'rank'"),
        (["-m", "lsar", "--fit", "nothing"], "unknown source 'nothing'"),
        (["-m", "lsar", "--languages", "fi"], "none of the languages fi"),
        (["-m", "shift", "--alpha", "9"], "from 0 to 2"),
    ],
)
def test_mistakes_are_named(arguments, expected, chain, texts, run):
    status, _, err = run("debias", chain, *arguments, "-o", texts / "out")
    assert status == 2 and expected in err


def test_an_existing_folder_is_not_overwritten(chain, texts, run):
    (texts / "out").mkdir()
    (texts / "out" / "thesis.txt").write_text("years of work")
    status, _, err = run("debias", chain, "-o", texts / "out")
    assert status == 2 and "exists already" in err and (texts / "out" / "thesis.txt").exists()


def test_files_of_vectors_that_cannot_be_used(tmp_path, run):
    (tmp_path / "in").mkdir()
    pq.write_table(
        pa.table({"vector": [[1.0]], "language": ["en"], "group": ["a"]}), tmp_path / "in/a.parquet"
    )
    status, _, err = run("debias", "--vectors", tmp_path / "in", "-o", tmp_path / "out")
    assert status == 2 and "no column 'role'" in err
    status, _, err = run("debias", "-o", tmp_path / "out")
    assert status == 2 and "either a model or stored vectors" in err


@pytest.fixture
def recipe_method(monkeypatch):
    """The method of CONTRIBUTING.md's recipe, added as the recipe says."""
    text = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipe = text.partition("**A way to debias.**")[2]
    code = recipe.partition("```python\n")[2].partition("```")[0]
    names = {"__name__": "recipe"}
    monkeypatch.setitem(sys.modules, "recipe", ModuleType("recipe"))
    exec(textwrap.dedent(code), names)
    method = names["TopDirections"]
    monkeypatch.setitem(METHODS, method.name, method)
    return method


def test_a_method_from_outside_debiases_a_model(recipe_method, chain, texts, run):
    status, _, err = run(
        "debias",
        chain,
        "-m",
        recipe_method.name,
        "--rank",
        "2",
        "--fit",
        "sib-200",
        "-o",
        texts / "out",
    )
    assert status == 0, err
    origin = Retriever(str(texts / "out")).origin["debiased"]
    assert origin["method"] == "top-directions" and origin["rank"] == 2


def test_a_method_from_outside_debiases_vectors(recipe_method, tmp_path):
    corpus = parallel_vectors(3, strength=3.0)
    write_vectors(tmp_path / "in", corpus)
    transform = debias_vectors(tmp_path / "in", recipe_method(rank=4), tmp_path / "out")
    assert bias_of(corpus, transform) < 0.75 * bias_of(corpus, None)
    assert load_transform(str(tmp_path / "out")).metadata["method"] == "top-directions"


def test_a_method_declares_what_it_needs():
    one_language = EmbeddedCorpus(
        parallel_corpus("one", ["g0", "g1"], ["en", "en"], ["a", "b"]),
        *2 * [np.eye(2, dtype=np.float32)],
    )
    assert not one_language.has_translations() and parallel_vectors().has_translations()
    with pytest.raises(MixlingError, match="fewer than two"):
        fit_transform("centering", [one_language])
    two_languages = EmbeddedCorpus(
        parallel_corpus("two", ["g0", "g1"], ["en", "de"], ["a", "b"]),
        *2 * [np.eye(2, dtype=np.float32)],
    )
    with pytest.raises(MixlingError, match="'shift' needs parallel texts"):
        fit_transform("shift", [two_languages])
