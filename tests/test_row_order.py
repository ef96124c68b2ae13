"""Nothing that is measured hangs on the order of rows.

Ties stand by id, and what was not found has no rank.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling import evaluate
from mixling.errors import MixlingError
from mixling.evaluation.baselines import make_ranker
from mixling.evaluation.benchmarks import load_task, load_tasks
from mixling.evaluation.lexical import Bm25Ranker, FusedRanker, reciprocal_rank_scores
from mixling.evaluation.measure import measure
from mixling.evaluation.noise import add_noise
from mixling.evaluation.ranks import ScoreRows, best_first, by_ids
from mixling.preparation.mine_negatives import pick_negatives
from mixling.reports.compare import compare
from mixling.reports.evaluate import evaluate_all
from mixling.reports.leaderboard import leaderboard
from mixling.reports.narrative import distinct
from mixling.studies.plan import read_study

FIGURES = ("monolingual", "cross-lingual", "multilingual", "bias")


class Coarse:
    """Scores of two digits made of the texts, so that many are equal. wrong.

    What a score is instead, once.
    """

    name, origin = "coarse", {}

    def __init__(self, wrong=None):
        self.wrong = wrong

    def scorer(self, one):
        scores = np.array(
            [[(len(q) * 7 + len(c) * 3) % 4 / 4 for c in one.passages] for q in one.queries],
            np.float32,
        )
        if self.wrong is not None:
            scores[3, 5] = self.wrong

        class Given(ScoreRows):
            def __call__(self, begin, end):
                return scores[begin:end]

        return Given(), {}


@pytest.fixture(scope="module")
def small():
    """A part of the sample in three languages, with questions that share no word with any
    passage.
    """
    one = load_task("sample@en,de,sw")
    queries = [x if i % 3 else "xyzzy" for i, x in enumerate(one.queries)]
    return replace(one, queries=queries)


def permuted(one, queries, candidates):
    """A task whose rows stand in another order. queries, candidates.

    The old row of each new one.
    """
    new_q, new_c = np.argsort(queries), np.argsort(candidates)
    relevant = np.stack([new_q[one.relevant[:, 0]], new_c[one.relevant[:, 1]]], 1)
    order = np.lexsort((relevant[:, 1], relevant[:, 0]))
    return replace(
        one,
        queries=[one.queries[i] for i in queries],
        query_ids=[one.query_ids[i] for i in queries],
        query_language=one.query_language[queries],
        query_group=[one.query_group[i] for i in queries],
        passages=[one.passages[i] for i in candidates],
        passage_ids=[one.passage_ids[i] for i in candidates],
        passage_language=one.passage_language[candidates],
        titles=[one.titles[i] for i in candidates],
        relevant=relevant[order],
        grades=one.grades[order],
    )


def flat(entry, path=()):
    """The numbers of an entry by their place."""
    if isinstance(entry, dict):
        return {k: v for name, x in entry.items() for k, v in flat(x, (*path, name)).items()}
    return {path: entry}


@pytest.mark.parametrize(
    "name", ["bm25", "coarse", "coarse+bm25", "coarse+bm25:rrf", "random", "oracle"]
)
def test_rows_in_another_order_give_the_same_figures(name, small):
    one = Coarse()
    made = {
        "coarse": one,
        "coarse+bm25": FusedRanker(one, "mean"),
        "coarse+bm25:rrf": FusedRanker(one, "rrf"),
    }

    def figures(given):
        entry = measure(made.get(name, name), [given]).summary["tasks"][given.name]
        return flat({k: entry[k] for k in FIGURES if k in entry})

    before = figures(small)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        moved = permuted(
            small, rng.permutation(len(small.queries)), rng.permutation(len(small.passages))
        )
        assert figures(moved) == pytest.approx(before, nan_ok=True, abs=1e-12)


def test_what_bm25_has_not_found_has_no_rank_in_fusion(small):
    """Where it found nothing the encoder's order stands, ties and all."""
    encoder, fused = Coarse(), FusedRanker(Coarse(), "rrf")
    found = {x.name: measure(x, [small]).scores.to_pandas() for x in (encoder, fused)}
    lexical = Bm25Ranker().scorer(small)[0](0, len(small.queries))
    lost = {f"{x}" for x, row in zip(small.query_ids, lexical, strict=True) if not row.any()}
    assert len(lost) > 5
    for a, b in zip(*(f[f["query"].isin(lost)]["mAP"] for f in found.values()), strict=True):
        assert a == pytest.approx(b)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_ties_stand_by_id(data):
    n = data.draw(st.integers(1, 30))
    scores = np.array([data.draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n))], np.float32)
    ids = [f"d{i}" for i in range(n)]
    k = data.draw(st.integers(1, n))
    wanted = sorted(range(n), key=lambda i: (scores[0, i], ids[i]), reverse=True)
    assert best_first(scores, by_ids(ids)[1], k)[0].tolist() == wanted[:k]
    order = np.array(data.draw(st.permutations(range(n))))
    moved = reciprocal_rank_scores(scores[:, order], by_ids([ids[i] for i in order])[1], depth=k)
    assert (
        moved.tolist() == reciprocal_rank_scores(scores, by_ids(ids)[1], depth=k)[:, order].tolist()
    )


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(12)), st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_mined_negatives_are_the_same_whatever_the_order(order, levels):
    order, scores = np.array(order), np.array([levels], np.float32)
    right, language = np.zeros((1, 12), bool), np.arange(12) % 3
    right[0, 4] = True
    place = by_ids([f"p{i}" for i in range(12)])[1]
    asked = np.array([0])
    plain = pick_negatives(scores, right, asked, language, 4, 0.95, True, place, 0.0)
    moved = pick_negatives(
        scores[:, order], right[:, order], asked, language[order], 4, 0.95, True, place[order], 0.0
    )
    assert order[moved[:, 1]].tolist() == plain[:, 1].tolist()
    assert (scores[0, plain[:, 1]] > 0).all()  # what BM25 has not found is no negative of its


def test_words_are_switched_the_same_whatever_the_order(small):
    some = [i for i, x in enumerate(small.queries) if x != "xyzzy"]
    rng = np.random.default_rng(0)
    moved = permuted(small, rng.permutation(len(small.queries)), np.arange(len(small.passages)))
    one, two = (add_noise(x, "switch", 1.0) for x in (small, moved))
    assert dict(zip(one.query_ids, one.queries, strict=True)) == dict(
        zip(two.query_ids, two.queries, strict=True)
    )
    assert len(some) > 5


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_refused_by_model_task_and_texts(wrong, small, tmp_path):
    with pytest.raises(MixlingError) as error:
        evaluate(Coarse(wrong), [small], tmp_path / "out")
    for part in ("coarse", small.name, small.query_ids[3], small.passage_ids[5]):
        assert part in str(error.value)
    assert not (tmp_path / "out").exists()


def beir(folder, word, n=3):
    (folder / "qrels").mkdir(parents=True)
    rows = [
        {"_id": f"{word}{i}", "language": "en", "text": f"{word} {i} by the lake"} for i in range(n)
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "queries.jsonl").write_text(
        json.dumps({"_id": "q", "language": "en", "text": word}) + "\n"
    )
    (folder / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\nq\t{word}0\t1\n")
    return str(folder)


@pytest.mark.parametrize("form", ["", "+bm25", "+bm25:rrf"])
def test_lines_of_a_folder_in_another_order_give_the_same_figures(form, tmp_path):
    """With texts that stand twice, scores that are equal, grades, and questions that share no word
    with a passage.
    """
    words = ["lake", "reed", "crane", "winter", "south"]
    corpus = [
        {
            "_id": f"d{i}",
            "language": "en" if i % 3 else "de",
            "text": f"{words[i % 5]} {words[i % 2]} {i // 4}",
        }
        for i in range(40)
    ]
    asked = [
        {
            "_id": f"q{i}",
            "language": "de" if i % 2 else "en",
            "text": words[i] if i < 5 else "xyzzy",
        }
        for i in range(8)
    ]
    judged = [f"q{i}\td{(7 * i + j * 11) % 40}\t{1 + j}\n" for i in range(8) for j in range(3)]
    figures = []
    for seed in range(4):
        rng, place = np.random.default_rng(seed), tmp_path / str(seed) / "lake"
        (place / "qrels").mkdir(parents=True)
        mixed = [
            rng.permutation(len(x)) if seed else np.arange(len(x)) for x in (corpus, asked, judged)
        ]
        for name, rows, order in (("corpus", corpus, mixed[0]), ("queries", asked, mixed[1])):
            (place / f"{name}.jsonl").write_text("".join(json.dumps(rows[i]) + "\n" for i in order))
        (place / "qrels/test.tsv").write_text(
            "query-id\tcorpus-id\tscore\n" + "".join(judged[i] for i in mixed[2])
        )
        model = Coarse() if not form else FusedRanker(Coarse(), "rrf" if "rrf" in form else "mean")
        entry = measure(model, [str(place)]).summary["tasks"]["lake"]
        figures.append(flat({k: entry[k] for k in FIGURES if k in entry}))
    for other in figures[1:]:
        assert other == pytest.approx(figures[0], nan_ok=True, abs=1e-12)


def test_folders_of_one_name_are_told_apart_by_their_paths(tmp_path, monkeypatch):
    given = [
        beir(tmp_path / x, y)
        for x, y in (("a/shop/test", "crane"), ("b/shop/test", "heron"), ("c/test", "owl"))
    ]
    assert [x.name for x in load_tasks(given)] == ["a/shop/test", "b/shop/test", "c/test"]
    assert [x.name for x in load_tasks(given[::2])] == ["shop/test", "c/test"]
    assert [x.name for x in load_tasks([given[0], given[0] + "/../test"])] == [
        "test"
    ]  # one folder, written twice
    monkeypatch.chdir(tmp_path)
    sample = beir(tmp_path / "sample", "stork")
    assert [x.name for x in load_tasks(["sample", sample])] == ["sample", f"{tmp_path.name}/sample"]
    one = load_tasks([given[0]])[0]
    other = replace(one, queries=["another"])
    assert [x.name for x in load_tasks([one, other, one])] == ["test", "test (2)"]
    # names of files are told apart too
    clash = beir(tmp_path / "a-shop-test", "rail")
    names = [x.name for x in load_tasks([*given[:2], clash])]
    assert len({x.replace("/", "-") for x in names}) == 3
    result = evaluate("bm25", given, tmp_path / "out", trec=True)
    assert {k: v["passages"] for k, v in result.summary["tasks"].items()} == dict.fromkeys(
        ["a/shop/test", "b/shop/test", "c/test"], 3
    )
    for kind in ("mteb/*.json", "trec/*.run", "trec/*.qrels"):
        assert len(list((tmp_path / "out").glob(kind))) == 3
    assert set(result.scores["task"].to_pylist()) == {"a/shop/test", "b/shop/test", "c/test"}
    with pytest.raises(MixlingError, match="a/shop/test"):
        result.with_tasks_of(result)
    assert make_ranker("random").scorer(one)[0](0, 1).shape == (1, 3)


WRONG = {
    "a pair twice": (
        lambda t: {"relevant": np.repeat(t.relevant, 2, 0), "grades": np.repeat(t.grades, 2)},
        "repeated or out of order",
    ),
    "a candidate that is not there": (
        lambda t: {"relevant": np.add(t.relevant, [0, 10**6])},
        "1000000",
    ),
    "a query before the first": (lambda t: {"relevant": np.subtract(t.relevant, [1, 0])}, "-1"),
    "out of order": (lambda t: {"relevant": t.relevant[::-1]}, "out of order"),
    "no pair": (
        lambda t: {"relevant": t.relevant[:0], "grades": t.grades[:0]},
        "no query has a relevant passage",
    ),
    "ids twice": (lambda t: {"query_ids": ["same"] * len(t.queries)}, "'same'"),
    "ids of candidates twice": (
        lambda t: {"passage_ids": ["same"] * len(t.passages)},
        "'same'",
    ),
    "grade 0": (lambda t: {"grades": t.grades * 0}, "grades has 0"),
    "grade below 0": (lambda t: {"grades": -t.grades}, "grades has -1"),
    "grade of a half": (lambda t: {"grades": t.grades * 0.5}, "grades has 0.5"),
    "grades that are too few": (lambda t: {"grades": t.grades[:3]}, "grades has 3 rows"),
    "a query without an answer": (
        lambda t: {
            "relevant": t.relevant[t.relevant[:, 0] > 3],
            "grades": t.grades[t.relevant[:, 0] > 3],
        },
        "4 queries have no relevant passage",
    ),
    "an answer that is excluded": (
        lambda t: {"excluded": t.relevant[np.unique(t.relevant[:, 0], return_index=True)[1], 1]},
        "excludes its own",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_task_that_does_not_fit_together_is_refused(fault, small):
    change, said = WRONG[fault]
    with pytest.raises(MixlingError) as error:
        measure("oracle", [replace(small, **change(small))])
    assert said in str(error.value) and small.name in str(error.value)


def test_large_grades_and_pools_smaller_than_any_depth_are_measured(small):
    high = replace(small, grades=np.where(np.arange(len(small.grades)) % 2, 2**40, 1))
    entry = measure(Coarse(), [high]).summary["tasks"][small.name]
    assert (
        entry["multilingual"]["mAP"]
        == measure(Coarse(), [small]).summary["tasks"][small.name]["multilingual"]["mAP"]
    )
    assert 0 < entry["multilingual"]["nDCG@10"] <= 1
    one = replace(
        small.with_query_languages(["en"], "one"),
        passages=small.passages[:1],
        passage_ids=["a"],
        titles=[""],
        passage_language=small.passage_language[:1],
    )
    n = len(one.queries)
    one = replace(
        one, relevant=np.stack([np.arange(n), np.zeros(n, int)], 1), grades=np.ones(n, int)
    )
    entry = measure("bm25", [one]).summary["tasks"]["one"]
    assert "multilingual" not in entry and entry["cross-lingual"]["R@10"] == 1


def test_runs_and_models_of_one_name_keep_one_each(small, tmp_path, monkeypatch):
    assert distinct(["m", "M", "m (1)", "n"]) == ["m (1) (1)", "M (2)", "m (1)", "n"]
    monkeypatch.setattr("mixling.reports.evaluate.evaluate", lambda m, t, f, **_: made.append(f))
    monkeypatch.setattr("mixling.reports.evaluate.compare", lambda folders, out: None)
    made = []
    evaluate_all(["a/m", "b/m", "c/m-2"], [small], tmp_path)
    assert len({x.name for x in made}) == 3
    for place in ("a", "b"):
        measure("random", [small]).save(tmp_path / place / "run")
    measure("oracle", [small]).save(tmp_path / "c")
    (a, b, c), out = (tmp_path / "a/run", tmp_path / "b/run", tmp_path / "c"), tmp_path / "table.md"
    runs = compare([f"random={c}", a, b], out, permutations=8).runs
    assert len({r.name for r in runs}) == 3 and runs[0].name == "random"
    assert out.read_text().count("\n| ") == 1 + 3  # head and three runs
    page = leaderboard(tmp_path, tmp_path / "board.html").path.read_text()
    assert all(x in page for x in ("a/run", "b/run"))


def test_a_study_refuses_two_variants_that_would_be_one(tmp_path):
    text = """
[study]
tasks = ["sample"]
development = "mlqa-held-out"
[base]
[[variants]]
name = "x/y"
[[variants]]
name = "x y"
"""
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(MixlingError, match="x-y-0"):
        read_study(tmp_path / "s.toml")
    (tmp_path / "s.toml").write_text(
        text.replace("x y", "z").replace("[base]", "seeds = [1, 1]\n[base]")
    )
    with pytest.raises(MixlingError, match="x-y-1"):
        read_study(tmp_path / "s.toml")
