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


LANGUAGES = ("en", "fr", "hi", "mr", "sw", "zu")  # two pivots, two scripts, four families


@st.composite
def named_sources(draw):
    """Sources whose languages have names that pairings know; eight groups have all of them."""
    n, seed = draw(st.integers(16, 80)), draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    has_query, has_passage = rng.random((2, n, len(LANGUAGES))) < draw(st.floats(0.2, 0.9))
    has_query[:8] = has_passage[:8] = True
    conflict_group = np.concatenate([np.arange(8), rng.integers(8, n, n - 8)])
    names = np.array([f"g{i}" for i in range(n)])
    return TranslationGroups("named", names, conflict_group, LANGUAGES, has_query, has_passage)


FAMILY = {"en": "g", "fr": "r", "hi": "i", "mr": "i", "sw": "b", "zu": "b"}
ALLOWS = {
    "all": lambda a, b: True,
    "pivot": lambda a, b: "en" in (a, b) or "fr" in (a, b),
    "script": lambda a, b: (a in ("hi", "mr")) == (b in ("hi", "mr")),
    "family": lambda a, b: FAMILY[a] == FAMILY[b],
}
PAIRS = st.lists(st.sampled_from(sorted(ALLOWS)), min_size=1, max_size=3, unique=True)


@given(named_sources(), PAIRS, st.integers(0, 99), st.sampled_from(["uniform", 0.5, 1.0]))
@settings(deadline=None, max_examples=60)
def test_pairs_are_those_that_may_pair_and_none_is_lost(source, pairs, seed, languages):
    def allowed(a, b):
        return a != b and any(ALLOWS[name](a, b) for name in pairs)

    options = {"size": 8, "seed": seed, "pairs": pairs, "pair_languages": languages}
    schedule = Schedule([source], "hybrid", **options)
    (stratum,) = schedule.strata[1]
    expected = {
        g
        for g in range(len(source.groups))
        for i, a in enumerate(LANGUAGES)
        for j, b in enumerate(LANGUAGES)
        if source.has_query[g, i] and source.has_passage[g, j] and allowed(a, b)
    }
    assert set(stratum.groups.tolist()) == expected
    visits = Counter()
    for step in range(60):
        plan = schedule.plan(step)
        assert len(plan.groups) == 8 == len(np.unique(source.conflict_group[plan.groups]))
        assert source.has_query[plan.groups, plan.query_languages].all()
        assert source.has_passage[plan.groups, plan.passage_languages].all()
        if plan.batch_type == "mono":
            assert (plan.query_languages == plan.passage_languages).all()
            continue
        visits.update(plan.groups.tolist())
        for q, p in zip(plan.query_languages, plan.passage_languages, strict=True):
            assert allowed(LANGUAGES[q], LANGUAGES[p])
    again = Schedule([source], "hybrid", **options)
    assert again.fingerprint(20) == schedule.fingerprint(20)
    if not schedule.strata[1][0].stream.capped:
        rounds = sum(visits.values()) / len(expected)
        assert all(abs(visits[g] - rounds) <= 2 for g in expected)


def complete(name, n, languages):
    full = np.ones((n, len(languages)), bool)
    names = np.arange(n).astype(str)
    return TranslationGroups(name, names, np.arange(n), languages, full, full)


def pair_shares(schedule, steps=400):
    """Share of each pair of languages in two-language batches."""
    count = Counter()
    for step in range(steps):
        plan = schedule.plan(step)
        if plan.batch_type == "cross":
            count.update(
                zip(plan.query_languages.tolist(), plan.passage_languages.tolist(), strict=True)
            )
    total = sum(count.values())
    return {pair: n / total for pair, n in count.items()}


@pytest.mark.parametrize(
    "pairs, n_pairs", [("all", 30), ("pivot", 18), ("script", 14), ("family", 4)]
)
def test_allowed_pairs_have_equal_shares(pairs, n_pairs):
    schedule = Schedule([complete("s", 64, LANGUAGES)], "x-y", size=16, pairs=[pairs])
    shares = pair_shares(schedule)
    assert len(shares) == n_pairs
    assert max(abs(x - 1 / n_pairs) for x in shares.values()) < 0.01


def test_sizes_weigh_pairs_and_batches_of_one_language_apart():
    """`languages` and `pair_languages` are alpha by language: large ones more monolingual."""
    has = np.zeros((160, 3), bool)
    has[:, 0] = has[:80, 1] = has[:40, 2] = True
    names = np.arange(160).astype(str)
    source = TranslationGroups("s", names, np.arange(160), ("en", "fr", "sw"), has, has)
    schedule = Schedule([source], size=8, languages=1.0, pair_languages="uniform")
    mono = Counter(
        int(p.query_languages[0]) for p in map(schedule.plan, range(700)) if p.batch_type == "mono"
    )
    assert [mono[i] / 350 for i in range(3)] == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=0.01)
    # in the 40 groups of three languages all six pairs, in 40 others the one pair both ways
    shares = pair_shares(schedule)
    assert shares[0, 1] == pytest.approx(1 / 2 / 2 + 1 / 2 / 6, abs=0.01)
    assert shares[0, 2] == pytest.approx(1 / 2 / 6, abs=0.01)
    by_size = pair_shares(Schedule([source], size=8, pair_languages=1.0))
    # 160 * 80 against 160 * 40 and 80 * 40, both ways, in half of the groups
    assert by_size[0, 2] == pytest.approx(1 / 2 * 2 / 7 / 2, abs=0.01)


@given(st.integers(0, 99), st.sampled_from([None, "mono", "cross"]))
@settings(deadline=None, max_examples=20)
def test_a_source_is_in_batches_of_its_type_alone(seed, batch_type):
    two = [complete("first", 40, ("en", "fr")), complete("second", 40, ("en", "fr"))]
    schedule = Schedule(two, size=8, seed=seed, source_types=[None, batch_type])
    seen = {(p.source, p.batch_type) for p in map(schedule.plan, range(60))}
    expected = {(0, "mono"), (0, "cross"), (1, "mono"), (1, "cross")}
    assert seen == {(s, t) for s, t in expected if s == 0 or batch_type in (None, t)}


def test_the_new_options_change_no_plan_by_their_defaults():
    source = translation_groups(sample.read_sample("train"))
    explicit = Schedule(
        [source],
        size=16,
        pairs=["all"],
        pivots=["zh"],
        pair_languages="uniform",
        source_types=[None],
    )
    assert explicit.fingerprint(10) == FROZEN


def test_pairs_that_nobody_has_are_refused():
    source = complete("s", 16, ("en", "sw"))
    with pytest.raises(MixlingError, match=r"no source has cross pairs.*batches\.pairs"):
        Schedule([source], size=8, pairs=["family"])
    with pytest.raises(MixlingError, match=r"family of tlh is not known.*languages"):
        Schedule([complete("s", 16, ("en", "tlh"))], size=8, pairs=["family"])
    with pytest.raises(MixlingError, match="no source has mono pairs"):
        Schedule([source], size=8, source_types=["cross"])
    Schedule([complete("s", 16, ("en", "tlh"))], "x-x-mono", size=8, pairs=["family"])
