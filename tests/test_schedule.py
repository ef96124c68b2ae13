import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.batches.schedule import Schedule
from mixling.batches.translation_groups import TranslationGroups, translation_groups
from mixling.corpora import sample
from mixling.errors import MixlingError


@st.composite
def sources(draw):
    n, languages = draw(st.integers(12, 80)), draw(st.integers(2, 5))
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    has_query, has_passage = rng.random((2, n, languages)) < 0.7
    has_query[:8] = has_passage[:8] = True
    return TranslationGroups(
        "random",
        np.array([f"g{i}" for i in range(n)]),
        np.concatenate([np.arange(8), rng.integers(8, n, n - 8)]),
        tuple("abcde"[:languages]),
        has_query,
        has_passage,
    )


@given(
    sources(),
    st.sampled_from(["x-x", "x-x-mono", "x-y", "hybrid"]),
    st.integers(0, 99),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_batches_hold_what_their_strategy_promises(source, strategy, seed, random_interleave):
    schedule = Schedule(
        [source], strategy, alpha=0.3, size=8, seed=seed, random_interleave=random_interleave
    )
    batch_types = Counter()
    for step in range(40):
        plan = schedule.plan(step)
        batch_types[plan.batch_type] += 1
        assert len(plan.groups) == 8 == len(np.unique(source.conflict_group[plan.groups]))
        assert source.has_query[plan.groups, plan.query_languages].all()
        assert source.has_passage[plan.groups, plan.passage_languages].all()
        same = plan.query_languages == plan.passage_languages
        assert same.all() if plan.batch_type == "mono" else not same.any()
        if plan.batch_type == "mono" and strategy != "x-x":
            assert len(set(plan.query_languages)) == 1
        if strategy == "hybrid" and not random_interleave:
            assert abs(batch_types["mono"] - 0.3 * (step + 1)) <= 1


@given(sources(), st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_parts_of_processes_are_the_whole_batch(source, step):
    plan = Schedule([source], "hybrid", size=8).plan(step)
    for processes in (1, 2, 4):
        parts = [plan.part(p, processes) for p in range(processes)]
        for field in ("groups", "query_languages", "passage_languages", "visits"):
            assert np.array_equal(
                np.concatenate([getattr(p, field) for p in parts]), getattr(plan, field)
            )


def test_a_step_is_the_same_whether_or_not_others_were_asked_for():
    source = translation_groups(sample.read_sample("train"))
    a, b = (Schedule([source], "hybrid", size=16, seed=5) for _ in range(2))
    walked = [a.describe(s) for s in range(60)]
    assert b.describe(59) == walked[59]
    assert b.describe(3) == walked[3]


def test_another_process_computes_the_same_plan():
    code = (
        "from mixling.batches.schedule import Schedule; "
        "from mixling.batches.translation_groups import translation_groups; "
        "from mixling.corpora import sample; "
        "source = translation_groups(sample.read_sample('train')); "
        "print(Schedule([source], size=16).fingerprint(50))"
    )
    expected = Schedule([translation_groups(sample.read_sample("train"))], size=16).fingerprint(50)
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == expected
    )


def test_the_plan_of_a_seed_never_changes():
    """Another value means that runs can no longer be repeated: the changelog says so."""
    assert (
        Schedule([translation_groups(sample.read_sample("train"))], size=16, seed=0).fingerprint(10)
        == FROZEN
    )


FROZEN = "1a64a20f07ccddcb9f77aa5d95fccb5feb6a67ef9913efe541d4275ddf3dc91b"


def test_each_language_has_its_groups_once_before_any_twice():
    schedule, seen = (
        Schedule([translation_groups(sample.read_sample("train"))], "x-x-mono", size=16),
        {},
    )
    for step in range(64):
        for language, _, group in schedule.describe(step)["pairs"]:
            count = seen.setdefault(language, Counter())
            count[group] += 1
    for count in seen.values():
        assert len(count) == 64 and max(count.values()) - min(count.values()) <= 1


def test_a_batch_that_cannot_be_filled_says_how_many_groups_there_are():
    with pytest.raises(
        MixlingError,
        match="language 'ar' of source 'sample' has 64 translation groups on 32 passage groups",
    ):
        Schedule([translation_groups(sample.read_sample("train"))], "x-x-mono", size=33)


def test_sources_are_drawn_by_size_and_weight():
    full = np.ones((400, 2), bool)
    two = [
        TranslationGroups(n, np.arange(k).astype(str), np.arange(k), ("a", "b"), full[:k], full[:k])
        for n, k in (("big", 300), ("small", 100))
    ]

    def share(**kw):
        return np.mean([Schedule(two, "hybrid", size=4, **kw).plan(s).source for s in range(400)])

    assert share() == pytest.approx(0.25, abs=0.01)
    assert share(corpora=0) == pytest.approx(0.5, abs=0.01)
    assert share(weights=[1, 3]) == pytest.approx(0.5, abs=0.01)


def test_languages_by_size_exponent():
    has = np.zeros((90, 2), bool)
    has[:, 0] = True
    has[:30, 1] = True
    source = TranslationGroups("s", np.arange(90).astype(str), np.arange(90), ("a", "b"), has, has)

    def share(exponent):
        return np.mean(
            [
                Schedule([source], "x-x-mono", size=4, languages=exponent)
                .plan(s)
                .query_languages[0]
                for s in range(400)
            ]
        )

    assert share("uniform") == pytest.approx(0.5, abs=0.01)
    assert share(1.0) == pytest.approx(0.25, abs=0.01)


def test_the_command_prints_one_object_a_step_and_nothing_else(run, tmp_path):
    (tmp_path / "c.toml").write_text('[data]\nsources = ["sample"]\n')
    status, out, err = run("schedule", tmp_path / "c.toml", "--steps", "7", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and [r["step"] for r in rows] == list(range(7)) and not err
    assert {r["kind"] for r in rows} == {"mono", "cross"}
    assert all(len(r["pairs"]) == 32 and all(len(p) == 3 for p in r["pairs"]) for r in rows)
    status, out, _ = run("schedule", tmp_path / "c.toml")
    assert status == 0 and "SHA-256" in out and "mono: 50 of 100 batches" in out
    with (tmp_path / "c.toml").open("a") as file:
        file.write('[[soup]]\nbatches = { strategy = "x-y" }\n[[soup]]\n')
    status, out, _ = run("schedule", tmp_path / "c.toml", "--steps", "4")
    assert status == 0 and "run 1 of 2" in out and "cross: 4 of 4" in out and "mono: 2 of 4" in out
    status, out, _ = run("schedule", tmp_path / "c.toml", "--steps", "2", "--json")
    assert [json.loads(line)["run"] for line in out.splitlines()] == [1, 1, 2, 2]
