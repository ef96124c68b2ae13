"""A transform is fitted on a collection itself and chosen without judgments."""

import json

import numpy as np
import pytest

import planted
from mixling.auditing.fit_collection import debias_collection
from mixling.debiasing.files import load_transform
from mixling.errors import MixlingError
from planted import CODES, PlantedEncoder, documents


def test_a_planted_bias_is_taken_out_and_the_expected_gain_comes_true(tmp_path):
    path = documents(tmp_path / "d.jsonl", groups=200)
    encoder = PlantedEncoder(1.0)
    fit = debias_collection(encoder, path)
    assert fit.steps is not None
    assert fit.steps in ("language", "lsar")  # the others need real queries
    assert fit.n_queries == 0 and fit.n_passages == 200 * len(CODES)
    trial = next(t for t in fit.trials.trials if t.candidate == fit.steps)
    assert trial.gain_low <= trial.gain <= trial.gain_high
    # on texts that the fit has not seen, searched as the trial searches: half of the groups
    groups = np.arange(1000, 1100)
    texts = {
        role: [f"g{g} {word} in {code}" for g in groups for code in CODES]
        for role, word in (("query", "title"), ("passage", "body"))
    }
    languages = CODES * len(groups)
    vectors = {role: encoder.encode(x, role, languages=languages) for role, x in texts.items()}
    vectors = {k: v / np.linalg.norm(v, axis=1, keepdims=True) for k, v in vectors.items()}

    def pooled(queries, passages):
        scores = queries @ passages.T
        own = np.repeat(groups, len(CODES))
        wrong = np.where(own[:, None] == own[None], -9, scores)
        found = {True: [], False: []}  # answers in the query's language, and in others
        for q in range(len(own)):
            for p in np.flatnonzero(own == own[q]):
                found[languages[q] == languages[p]].append(
                    1 / (1 + (wrong[q] > scores[q, p]).sum())
                )
        return float(np.mean([np.mean(x) for x in found.values()]))

    moved = {k: fit.transform.transform(v, languages, k) for k, v in vectors.items()}
    gain = pooled(moved["query"], moved["passage"]) - pooled(vectors["query"], vectors["passage"])
    assert gain == pytest.approx(trial.gain, abs=0.05)


def test_without_a_bias_nothing_is_done_and_nothing_is_written(tmp_path):
    path = documents(tmp_path / "d.jsonl", groups=200)

    class NoBias(PlantedEncoder):
        def encode(self, texts, role=None, *, languages=None, **more):
            # no language and no role: the texts alone
            return super().encode(texts, "passage", languages=["en"] * len(texts), **more)

    fit = debias_collection(NoBias(0.0, noise=0.3), path, out=tmp_path / "fair")
    assert fit.steps is None and fit.transform is None
    assert "No transform helps" in fit.reason
    assert not (tmp_path / "fair").exists()


def test_a_log_of_queries_gives_the_means(tmp_path):
    path = documents(tmp_path / "d.jsonl", groups=120)
    log = tmp_path / "log.jsonl"
    rows = [{"query": f"g{g} question in sw", "language": "sw"} for g in range(500, 560)]
    log.write_text("\n".join(json.dumps(x) for x in rows))
    fit = debias_collection(PlantedEncoder(1.0), path, "centering", queries=log)
    assert fit.n_queries == 60 and fit.trials is None
    assert fit.transform.languages == tuple(CODES)
    with pytest.raises(MixlingError, match="centering is fitted on queries"):
        debias_collection(PlantedEncoder(1.0), path, "centering")


def test_a_log_opens_more_transforms_to_the_choice(tmp_path):
    path = documents(tmp_path / "d.jsonl", groups=220)
    log = tmp_path / "log.jsonl"
    rows = [
        {"query": f"g{g} title in {code}", "language": code}
        for g in range(900, 960)
        for code in CODES
    ]
    log.write_text("\n".join(json.dumps(x) for x in rows))
    fit = debias_collection(PlantedEncoder(1.0), path, queries=log)
    tried = {t.candidate for t in fit.trials.trials}
    assert tried >= {"language", "centering", "roles", "centering+hubs"}
    assert fit.n_queries == 240


def test_the_command_prints_its_reasons_and_writes_a_model(run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    path = documents(tmp_path / "d.jsonl", groups=220)
    model = f"python:{planted.__name__}:encode"
    status, out, err = run("debias", model, "--collection", path, "-o", tmp_path / "fair")
    assert status == 0, err
    assert "raises the mean reciprocal rank" in out and "and 0 queries" in out
    transform = load_transform(str(tmp_path / "fair"))
    assert transform.dimensions == planted.DIM
    choice = json.loads((tmp_path / "fair" / "choice.json").read_text())
    assert {t["candidate"] for t in choice["trials"]} >= {"language", "lsar", "order"}
    status, out, err = run("search", tmp_path / "none", "words", "--model", tmp_path / "fair")
    assert status == 2
    status, _, err = run("evaluate", tmp_path / "fair", "-t", "sample", "-o", tmp_path / "result")
    assert status == 0, err


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--fit", "sample"], "takes no --fit"),
        (["--rank", "3"], "takes no --rank"),
        (["-m", "shift"], "step of a transform"),
        (["-m", "trained"], "trained needs titles or first sentences"),
        (["--queries", "nowhere.txt"], "nowhere.txt: the file does not exist"),
    ],
)
def test_options_that_do_not_go_together(run, tmp_path, options, found):
    path = documents(tmp_path / "d.jsonl", groups=5)
    status, _, err = run(
        "debias", "python:planted:encode", "--collection", path, "-o", tmp_path / "fair", *options
    )
    assert status == 2 and found in err
    assert not (tmp_path / "fair").exists()


def test_too_little_to_choose_by_is_said(tmp_path):
    path = documents(tmp_path / "d.jsonl", groups=20)
    with pytest.raises(MixlingError, match="has 0 known items and 0 languages"):
        debias_collection(PlantedEncoder(1.0), path)


def test_a_dot_product_model_is_refused(tmp_path):
    class Dot(PlantedEncoder):
        similarity = "dot"

    with pytest.raises(MixlingError, match="compares vectors by dot product"):
        debias_collection(Dot(1.0), documents(tmp_path / "d.jsonl"))


def test_queries_need_a_collection(run, tmp_path):
    status, _, err = run("debias", "x", "--queries", "log.txt", "-o", tmp_path / "fair")
    assert status == 2 and "--queries needs --collection" in err


def test_a_repair_fits_once_and_goes_on_with_the_same_transform(run, tmp_path):
    import lancedb
    import pyarrow as pa

    rows = [json.loads(x) for x in documents(tmp_path / "d.jsonl", 220).read_text().splitlines()]
    texts = [f"{row['title']}\n{row['text']}" for row in rows]
    vectors = planted.encode([row["text"] for row in rows], "passage")
    table = pa.table(
        {
            "id": [row["_id"] for row in rows],
            "text": texts,
            "language": [row["language"] for row in rows],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), planted.DIM),
        }
    )
    database = lancedb.connect(tmp_path / "db")
    database.create_table("passages", table)
    call = [
        "repair", f"lancedb:{tmp_path / 'db'}#passages", "--transform", "auto", "--state",
        tmp_path / "state",
    ]  # fmt: skip
    status, _, err = run(*call)
    assert status == 2 and "Name it with --model" in err
    call += ["--model", f"python:{planted.__name__}:encode"]
    status, out, err = run(*call)
    assert status == 0, err
    assert "raises the mean reciprocal rank" in out and "880 were written" in out
    fitted = load_transform(str(next((tmp_path / "state").glob("transform-*"))))
    database.open_table("passages").add(table.slice(0, 1).set_column(0, "id", [["new"]]))
    status, out, err = run(*call, "--switch")
    assert status == 0, err
    assert "that an earlier call fitted" in out and " 1 were written" in out
    found = database.open_table("passages").to_arrow()
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = fitted.transform(directions, [row["language"] for row in rows], "passage")
    by_id = dict(zip(found["id"].to_pylist(), found["vector"].to_pylist(), strict=True))
    moved = np.array([by_id[row["_id"]] for row in rows])
    unit = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    assert len(found) == 881 and unit == pytest.approx(expected, abs=1e-5)


def test_what_is_tried_shares_no_query_and_no_passage_with_what_is_fitted(monkeypatch):
    """Else a query corrects its own answer, or answers of references are easy distractors."""
    from mixling.auditing import candidates
    from mixling.auditing.known_items import make_items

    rng = np.random.default_rng(0)
    n = 400
    passages = rng.normal(size=(n, 16)).astype(np.float32)
    passages /= np.linalg.norm(passages, axis=1, keepdims=True)
    groups, languages = np.arange(n) // 2, np.array(["de", "en"] * (n // 2))
    queries = passages + 0.1 * rng.normal(size=(n, 16)).astype(np.float32)
    pool = candidates.Pool(passages, languages, groups, {}, {})
    items = make_items("title", queries, np.arange(n), languages, groups, False)
    fitted, searched = [], []
    fit, rank = candidates.fit_on_collection, candidates.rank

    def recorded_fit(steps, vectors):
        fitted.append((vectors.queries.copy(), vectors.passages.copy()))
        return fit(steps, vectors)

    def recorded_rank(part, vectors, of_passages, of_groups, *rest):
        searched.append((part.vectors, of_groups))
        return rank(part, vectors, of_passages, of_groups, *rest)

    monkeypatch.setattr(candidates, "fit_on_collection", recorded_fit)
    monkeypatch.setattr(candidates, "rank", recorded_rank)
    candidates.try_candidate(items, pool, "roles")
    for (asked, of_fit), (tried, of_groups) in zip(fitted, searched, strict=True):
        assert not {x.tobytes() for x in asked} & {x.tobytes() for x in tried}
        kept = {x.tobytes() for x in of_fit}
        assert {int(g) for g, x in zip(groups, passages, strict=True) if x.tobytes() in kept} == (
            set(groups.tolist()) - set(of_groups.tolist())
        )
    assert sum(len(tried) for tried, _ in searched) == n


def test_no_transform_comes_behind_a_hub_correction(tmp_path):
    path = documents(tmp_path / "d.jsonl", groups=120)
    log = tmp_path / "log.jsonl"
    rows = [{"query": f"g{g} question in sw", "language": "sw"} for g in range(500, 800)]
    log.write_text("\n".join(json.dumps(x) for x in rows))
    fair = tmp_path / "fair"
    debias_collection("python:planted:encode", path, "roles+hubs", fair, queries=log)
    with pytest.raises(MixlingError, match="have a hub correction"):
        debias_collection(str(fair), path, "language")
