"""Late interaction: MaxSim by its definition, exact search, evaluation, another model's index."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.encoding import late
from mixling.encoding.late import TokenIndex, maxsim, token_vectors
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.measure import measure
from mixling.models.retriever import Retriever


def maxsim_by_hand(q, q_begins, d, d_begins):
    return np.array(
        [
            [(q[a:b] @ d[s:e].T).max(1).mean() for s, e in pairwise(d_begins)]
            for a, b in pairwise(q_begins)
        ]
    )


@given(st.data())
@settings(deadline=None)
def test_maxsim_by_its_definition(data):
    lengths = [data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=6)) for _ in range(2)]
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    (q, q_begins), (d, d_begins) = (
        (random.normal(size=(sum(n), 3)).astype(np.float32), np.cumsum([0, *n])) for n in lengths
    )
    default = late.SCORES
    try:
        # blocks of one document, of a few, of all
        late.SCORES = data.draw(st.sampled_from([1, 7, default]))
        assert np.allclose(
            maxsim(q, q_begins, d, d_begins), maxsim_by_hand(q, q_begins, d, d_begins), atol=1e-5
        )
    finally:
        late.SCORES = default


def test_an_index_finds_what_it_holds_and_comes_back_from_the_disk(chain, tmp_path):
    retriever = Retriever(str(chain))
    texts = ["the river is wide", "a bridge of stone", "bread", "birds fly south in autumn"]
    index = TokenIndex.build(retriever, list("abcd"), texts, "float32")
    vectors, begins = token_vectors(retriever, texts, "passage")
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5) and len(begins) == 5
    assert np.allclose(index.scores(vectors, begins).diagonal(), 1, atol=1e-5)
    # prompts do not count: as many tokens as the text alone has
    without_prompt, no_prompt_begins = token_vectors(retriever, texts, None)
    assert (
        np.diff(begins) == np.diff(no_prompt_begins)
    ).all() and without_prompt.shape == vectors.shape
    index.save(tmp_path / "index.npz")
    hits = TokenIndex.load(tmp_path / "index.npz").search(retriever, ["bread"], 2)
    assert hits == index.search(retriever, ["bread"], 2) and len(hits[0]) == 2
    scores = maxsim_by_hand(*token_vectors(retriever, ["bread"], "query"), vectors, begins)[0]
    assert hits[0][0][0] == "abcd"[int(scores.argmax())]
    half = TokenIndex.build(retriever, list("abcd"), texts)
    assert (
        half.vectors.dtype == np.float16
        and half.search(retriever, ["bread"], 1)[0][0][0] == hits[0][0][0]
    )


def test_a_task_is_measured_by_maxsim(chain):
    task = load_task("sample")
    summary = measure(f"late:{chain}", [task]).summary
    retriever = Retriever(str(chain))
    q, d = (
        token_vectors(retriever, task.queries, "query"),
        token_vectors(retriever, task.passages, "passage"),
    )
    scores = maxsim_by_hand(*q, *d)
    rank = [(scores[i] > scores[i, c] + 1e-6).sum() + 1 for i, c in task.relevant]
    first = [
        min(r for r, (i, _) in zip(rank, task.relevant, strict=True) if i == j)
        for j in range(len(task.queries))
    ]
    share = np.mean(
        [
            np.mean(np.array(first)[task.query_language == x] == 1)
            for x in np.unique(task.query_language)
        ]
    )
    assert summary["tasks"]["sample"]["bias"] and summary["model"].startswith("late:")
    top = summary["tasks"]["sample"]["multilingual"]["R@1"]
    assert top == pytest.approx(share / np.bincount(task.relevant[:, 0]).mean(), abs=0.02)


def test_documents_of_another_model(chain, plain, tmp_path):
    """A student and its teacher's index; with itself as the other model nothing changes."""
    task = load_task("sample")
    for name in (str(chain), f"late:{chain}"):
        alone, same = measure(name, [task]), measure(name, [task], passage_model=str(chain))
        a, b = (r.summary["tasks"]["sample"]["multilingual"]["mAP"] for r in (alone, same))
        assert a == b and "passages: " in same.summary["model"]
        other = measure(name, [task], passage_model=Retriever(str(plain), pooling="cls"))
        assert other.summary["tasks"]["sample"]["multilingual"]["mAP"] != a or name.startswith(
            "late:"
        )
    with pytest.raises(MixlingError, match="encodes nothing"):
        measure("bm25", [task], passage_model=str(chain))
