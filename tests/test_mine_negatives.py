"""Hard negatives: mined, written, read by training, and scored in lists by teachers."""

import json
import signal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.test_training import config

from mixling.batches.translation_groups import translation_groups
from mixling.corpora import folder, sample
from mixling.corpora.catalog import load
from mixling.corpora.windows import passage_windows
from mixling.errors import MixlingError
from mixling.losses.info_nce import info_nce, similarity
from mixling.models.retriever import Retriever
from mixling.preparation.mine_negatives import mine_negatives, pick_negatives
from mixling.training.load_config import load_config
from mixling.training.objective import Objective
from mixling.training.train import train
from mixling.training.training_data import load_training_data


@pytest.fixture(scope="module")
def mined(chain, tmp_path_factory):
    out = tmp_path_factory.mktemp("mined") / "sample-mined"
    report = mine_negatives(
        str(chain), "sample", out, negatives=4, precision="fp32", max_relative_score=1.0
    )
    return out, report


def test_pick_by_hand():
    """The query is in language 0. Passage 0, in language 1, answers; 1 and 2 are in language 0."""
    scores = np.array([[0.6, 0.8, 0.1, 0.5, 0.3]], np.float32)
    right = np.array([[True, False, False, False, False]])
    language = np.array([1, 0, 0, 1, 1])
    found = pick_negatives(scores, right, np.array([0]), language, 9, 1.0, True)
    # limits: language 0 mean .45, no answer there, so the best, .6: passage 1 at .8 is over it;
    # language 1: .6
    assert found.tolist() == [[0, 3, 0], [0, 4, 0], [0, 2, 0]]
    # with an answer in the own language too, at .9: passage 1 stands before the foreign answer and
    # is an intruder
    scores, right = np.append(scores, [[0.9]], 1).astype(np.float32), np.append(right, [[True]], 1)
    found = pick_negatives(scores, right, np.array([0]), np.append(language, 0), 9, 1.0, True)
    assert found.tolist() == [[0, 1, 1], [0, 3, 0], [0, 4, 0], [0, 2, 0]]
    # keep .8 of the way from the language's mean (.6) to its answer (.9): .84; of language 1's
    # (.4667 to .6): .573
    found = pick_negatives(scores, right, np.array([0]), np.append(language, 0), 9, 0.5, True)
    assert found.tolist() == [[0, 3, 0], [0, 4, 0], [0, 2, 0]]


@given(st.data())
@settings(deadline=None)
def test_picked_are_wrong_within_the_limit_and_intruders_first(data):
    q, p, k = (data.draw(st.integers(1, n)) for n in (4, 12, 6))
    scores = data.draw(arrays.arrays(np.float32, (q, p), elements=st.floats(-1, 1, width=16)))
    right = data.draw(arrays.arrays(bool, (q, p)))
    asked, language = (
        data.draw(arrays.arrays(np.int64, n, elements=st.integers(0, 2))) for n in (q, p)
    )
    found = pick_negatives(scores, right, asked, language, k, 0.9, True)
    for i in range(q):
        rows = found[found[:, 0] == i]
        assert len(rows) <= k and len(np.unique(rows[:, 1])) == len(rows)
        assert not right[i, rows[:, 1]].any()
        if len(rows):
            assert right[i].any()
        assert (np.diff(rows[:, 2]) <= 0).all()
        for flag in (0, 1):
            assert (np.diff(scores[i, rows[rows[:, 2] == flag, 1]]) <= 0).all()
        for passage in rows[rows[:, 2] == 1, 1]:
            foreign = right[i] & (language != asked[i])
            assert language[passage] == asked[i] and scores[i, passage] > scores[i, foreign].max()


def test_no_member_of_the_positives_group_is_a_negative(mined):
    out, report = mined
    corpus = folder.read_folder(out)
    assert corpus.negatives.num_rows == report.negatives_mined > 0
    assert report.intruder_share == report.intruders_mined / report.negatives_mined
    source = translation_groups(corpus)
    group = corpus.queries["group"].to_pylist()
    answers = {}
    passage_group = corpus.passages["group"].to_pylist()
    for g, p in zip(
        corpus.links["group"].to_pylist(), corpus.links["passage"].to_pylist(), strict=True
    ):
        answers.setdefault(g, set()).add(passage_group[p])
    for row in corpus.negatives.to_pylist():
        assert passage_group[row["passage"]] not in answers[group[row["query"]]]
    assert len(source.groups) == len(answers)


def test_a_folder_keeps_answers_and_negatives(mined, tmp_path):
    before, after = sample.read_sample("train"), folder.read_folder(mined[0])
    assert passage_windows(before, 60) == passage_windows(after, 60)
    folder.write_folder(after, tmp_path / "again", parquet=True)
    again = folder.read_folder(tmp_path / "again")
    assert again.negatives.equals(after.negatives) and again.links.equals(after.links)
    part = after.select(languages=["de", "en"], query_languages=["en"])
    assert part.queries["language"].unique().to_pylist() == ["en"]
    texts = {(a, b) for a, b in _texts(after)}
    assert part.negatives.num_rows > 0 and {(a, b) for a, b in _texts(part)} <= texts


def _texts(corpus):
    q, p = corpus.queries["text"].to_pylist(), corpus.passages["text"].to_pylist()
    return [(q[r["query"]], p[r["passage"]]) for r in corpus.negatives.to_pylist()]


def test_negatives_of_a_source_of_pairs(tmp_path):
    rows = [
        {"q": "what", "a": "this", "no": ["that", "those"]},
        {"q": "who", "a": "she", "no": ["this"]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    columns = {"query": "q", "passage": "a", "negative": "no"}
    corpus = load(
        "mine", hub_name="json", path=tmp_path / "rows.jsonl", columns=columns, language="en"
    )
    assert sorted(_texts(corpus)) == [("what", "that"), ("what", "those"), ("who", "this")]


def with_negatives(chain, mined, terms=(), **batches):
    settings = config(chain)
    settings["data"] = {"sources": [{"name": "mined", "path": str(mined[0])}]}
    settings["batches"] = {"size": 8, "negatives": 2, **batches}
    settings["objective"] = {"terms": list(terms)}
    return settings


def test_hard_negatives_stand_in_the_loss(chain, mined):
    settings = load_config(with_negatives(chain, mined))
    data = load_training_data(settings)
    schedule, pairs = data.schedule, data.texts
    retriever = Retriever(str(chain))
    objective = Objective(settings, retriever)
    batch = pairs.batch(schedule.plan(1))
    assert batch.negatives and set(batch.negative_of) <= set(range(8))
    assert (np.bincount(batch.negative_of) <= 2).all()
    q = torch.from_numpy(retriever.encode(batch.queries, "query"))
    p = torch.from_numpy(retriever.encode([*batch.passages, *batch.negatives], "passage"))
    may = torch.ones(8, len(p), dtype=torch.bool)
    may[:, :8] = ~torch.eye(8, dtype=torch.bool)
    for j, block in enumerate(batch.negative_conflict_group):
        may[:, 8 + j] = torch.from_numpy(batch.conflict_group != block)
        assert may[batch.negative_of[j], 8 + j]
    expected = info_nce(q, p, may, settings.objective.temperature, retriever.similarity)
    assert objective.loss_of(batch)(torch.cat([q, p])).item() == pytest.approx(
        expected.item(), abs=1e-6
    )
    # another visit of a group takes other negatives, when there are more than fit
    later = pairs.batch(schedule.plan(1 + 400))
    assert later.negatives


@pytest.mark.parametrize("way", ["mined", "pair", "any"])
def test_languages_of_negatives(chain, mined, way):
    settings = load_config(with_negatives(chain, mined, strategy="x-y", negatives_in=way))
    data = load_training_data(settings)
    corpora, schedule, pairs = data.corpora, data.schedule, data.texts
    language = dict(
        zip(
            corpora[0].passages["text"].to_pylist(),
            corpora[0].passages["language"].to_pylist(),
            strict=True,
        )
    )
    same, every = [], set()
    for step in range(12):
        plan = schedule.plan(step)
        batch = pairs.batch(plan)
        names = schedule.sources[0].languages
        for text, i in zip(batch.negatives, batch.negative_of, strict=True):
            negative_language = next(x for t, x in language.items() if text in t)
            every.add(negative_language)
            same.append(negative_language == names[plan.passage_languages[i]])
    assert all(same) == (way == "pair")
    assert len(every) > 3


def test_round_robin_entries_hold_every_language_of_a_group(chain, mined):
    settings = load_config(with_negatives(chain, mined, every_language=True, negatives_in="pair"))
    data = load_training_data(settings)
    schedule, pairs = data.schedule, data.texts
    plan = schedule.plan(0)
    batch = pairs.batch(plan)
    count = schedule.sources[0].has_passage[plan.groups].sum()
    assert len(batch.passages) == count > 8 and len(set(batch.passages)) == count
    objective = Objective(settings, Retriever(str(chain)))
    value = objective.loss_of(batch)(torch.randn(2 * len(batch.queries) + len(batch.negatives), 32))
    assert torch.isfinite(value)


@pytest.fixture(scope="module")
def cross_encoder(plain, tmp_path_factory):
    from sentence_transformers import CrossEncoder

    folder_ = tmp_path_factory.mktemp("cross") / "encoder"
    torch.manual_seed(0)
    CrossEncoder(str(plain), num_labels=1).save_pretrained(str(folder_))
    return folder_


@pytest.mark.parametrize("name", ["distil-scores", "margin-mse"])
def test_a_cross_encoder_teaches_over_lists(chain, mined, cross_encoder, tmp_path, name):
    from sentence_transformers import CrossEncoder

    term = {"name": name, "teacher": str(cross_encoder), "temperature": 1.0, "pivot": "en"}
    settings = load_config(with_negatives(chain, mined, [term], strategy="x-y"))
    data = load_training_data(settings)
    corpora, schedule, pairs = data.corpora, data.schedule, data.texts
    retriever = Retriever(str(chain))
    objective = Objective(settings, retriever)
    batch = pairs.batch(schedule.plan(0), list_language=objective.list_language)
    english = set(corpora[0].passages.filter(pc_en(corpora[0]))["text"].to_pylist())
    assert all(any(t in e for e in english) for _, texts in batch.lists for t in texts)
    vectors = torch.randn(16 + len(batch.negatives), 32)
    alone = Objective(load_config(with_negatives(chain, mined, strategy="x-y")), retriever).loss_of(
        batch
    )(vectors)
    found = (objective.loss_of(batch)(vectors) - alone).item()
    reader = CrossEncoder(str(cross_encoder))
    total = []
    for i, (question, texts) in enumerate(batch.lists):
        columns = [i, *(8 + np.flatnonzero(batch.negative_of == i))]
        theirs = torch.from_numpy(
            reader.predict([(question, t) for t in texts], activation_fn=torch.nn.Identity())
        )
        ours = similarity(vectors[:8], vectors[8:], "cosine")[i, columns]
        if name == "distil-scores":
            total.append(
                torch.nn.functional.kl_div(
                    ours.log_softmax(0), theirs.log_softmax(0), reduction="sum", log_target=True
                )
            )
        else:
            total += list(((ours[0] - ours[1:]) - (theirs[0] - theirs[1:])) ** 2)
    assert found == pytest.approx(torch.stack(total).mean().item(), abs=1e-5)
    train({**with_negatives(chain, mined, [term]), "training": {"steps": 2}}, tmp_path / "run")


def pc_en(corpus):
    import pyarrow.compute as pc

    return pc.equal(corpus.passages["language"], "en")


def test_a_teacher_of_lists_needs_negatives_and_a_cross_encoder_has_no_vectors(
    chain, cross_encoder, mined
):
    for term, says in (
        ({"name": "distil-scores", "over": "list"}, r"[Ss]et batches\.negatives"),
        ({"name": "distil-vectors", "teacher": str(cross_encoder)}, "cross-encoder"),
    ):
        settings = load_config({**config(chain), "objective": {"terms": [term]}})
        with pytest.raises(MixlingError, match=says):
            pairs = load_training_data(settings).texts
            Objective(settings, Retriever(str(chain))).check(pairs)
    with pytest.raises(MixlingError, match="mixling mine-negatives"):
        load_training_data(load_config({**config(chain), "batches": {"size": 8, "negatives": 1}}))


def test_bm25_mines_within_words_that_are_shared(tmp_path, run):
    status, said, _ = run(
        "mine-negatives",
        "bm25",
        "sample",
        "--out",
        tmp_path / "bm25",
        "--language",
        "en",
        "--negatives",
        "3",
    )
    assert status == 0 and "negatives of" in said
    corpus = folder.read_folder(tmp_path / "bm25")
    assert corpus.negatives.num_rows and corpus.languages() == ["en"]
    status, said, error = run(
        "mine-negatives", "bm25", "sample", "--out", tmp_path / "bm25", "--negatives", "5"
    )
    assert status == 2 and "another call mined" in error


BLOCK = 44 * 8 * 4  # scores of a few questions
CODE = """
import os, signal, sys, torch
torch.set_num_threads(1)  # the order of nearly equal scores depends on the number of threads
import mixling.preparation.mine_negatives as m
m.SCORES = int(sys.argv[3])
real, done = m.pick_negatives, []
def pick(*a, **k):
    done.append(1)
    if len(done) == 5: os.kill(os.getpid(), signal.SIGKILL)
    return real(*a, **k)
m.pick_negatives = pick
m.mine_negatives(sys.argv[1], "sample", sys.argv[2], negatives=4, precision="fp32",
                 max_relative_score=1.0)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_killed_it_goes_on_and_ends_in_the_same_table(chain, tmp_path, forks, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    killed = forks.run(CODE, chain, cut, BLOCK)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not cut.exists() and len(list((tmp_path / "cut.part").glob("picked-*.npy"))) == 4
    monkeypatch.setattr("mixling.preparation.mine_negatives.SCORES", BLOCK)
    for out in (whole, cut):
        mine_negatives(
            str(chain), "sample", out, negatives=4, precision="fp32", max_relative_score=1.0
        )
    assert not (tmp_path / "cut.part").exists()
    assert folder.read_folder(cut).negatives.equals(folder.read_folder(whole).negatives)
