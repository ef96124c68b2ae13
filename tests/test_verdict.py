"""The verdict of a report, what it says of a repair, and what a comparison may call better."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mixling.evaluation import orders
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.bias.severity import MODERATE, STRONG, same_language_bias, severity
from mixling.evaluation.bias.table import ALL
from mixling.evaluation.measure import rank_task, score_task
from mixling.evaluation.ranks import DotScorer
from mixling.evaluation.significance import Comparison
from mixling.reports.answers import wrong_answers
from mixling.reports.changes import (
    PRECISION_EFFECT,
    SAME,
    judge,
    mark,
    number_of_tests,
    precision_warning,
)
from mixling.reports.colors import luminance
from mixling.reports.figures import heat_color
from mixling.reports.heat import answer_bars, heat_css, heat_table, score_matrix
from mixling.reports.measures import GROUPS, HEADLINE
from mixling.reports.terminal import _language_sentences
from mixling.reports.verdict import NOT_MEASURED, bias_verdict, favored_language, repaired_amount

ROOT = Path(__file__).parent.parent


def entry(wrong, shares, orders_entry=None, multilingual=0.5, monolingual=0.9):
    """A task's entry in which each of three languages holds a third of the relevant passages."""
    languages = ["ar", "en", "zh"]
    return {
        "languages": languages,
        "queries": 30,
        "passages": 30,
        "monolingual": {"mAP": monolingual},
        "multilingual": {
            "mAP": multilingual,
            "top10_share": shares,
            "fair_share": {x: dict.fromkeys(languages, 1 / 3) for x in languages},
        },
        "bias": {"intrusion@10": wrong},
        "intervals": {"bias": {"intrusion@10": [wrong - 0.05, wrong + 0.05]}},
        **({} if orders_entry is None else {"orders": orders_entry}),
    }


def same_language(share):
    """Shares of the first ten in which the query's language has one share everywhere."""
    languages = ["ar", "en", "zh"]
    return {x: {y: share if x == y else (1 - share) / 2 for y in languages} for x in languages}


def centered(before, after, share_after, gain, low):
    return {
        "queries": 30,
        "score": {"mAP": 0.5, "intrusion@10": before, "same_language_share@10": 0.9},
        "centered": {
            "mAP": 0.5 + gain,
            "intrusion@10": after,
            "same_language_share@10": share_after,
        },
        "gain": [gain, low, gain + 0.02],
    }


def test_the_words_follow_the_thresholds():
    assert [severity(x) for x in (STRONG, STRONG - 1e-9, MODERATE, MODERATE - 1e-9, 0.0)] == [
        "strong",
        "moderate",
        "moderate",
        "little",
        "little",
    ]
    assert same_language_bias(0.4, 0.1) == 0.1 and same_language_bias(0.1, 0.4) == 0.1
    assert same_language_bias(0.4, -0.1) == 0.0


def test_the_verdict_names_the_bias_and_its_figures():
    verdict = bias_verdict(entry(0.44, same_language(0.8)))
    assert verdict.title == "Strong language bias" and verdict.bias == pytest.approx(0.44)
    assert verdict.sentences[0].startswith("44 % of the first ten are wrong")
    assert [n.value for n in verdict.numbers] == ["44 %", "80 %", "0.400"]
    assert "39 % to 49 %" in verdict.numbers[0].between and "33 %" in verdict.numbers[1].between
    assert bias_verdict(entry(0.1, same_language(0.5))).title == "Moderate language bias"


def test_wrong_passages_of_a_weak_retriever_are_no_bias():
    """A random ranking has wrong passages in the query's language too: its fair share of them."""
    verdict = bias_verdict(entry(0.3, same_language(1 / 3)))
    assert verdict.title == "Little language bias" and verdict.bias == pytest.approx(0)
    assert any("no sign of bias" in s for s in verdict.sentences)


def test_a_language_that_all_queries_find_is_named():
    shares = {x: {"ar": 0.1, "en": 0.8, "zh": 0.1} for x in ("ar", "en", "zh")}
    found = entry(0.02, shares)
    assert favored_language(found) == ("en", pytest.approx(0.8), pytest.approx(1 / 3))
    verdict = bias_verdict(found)
    assert verdict.title == "Strong language bias toward English"
    assert any("English in 80 % of their first ten" in s for s in verdict.sentences)


def test_what_was_not_measured_is_not_called_unbiased():
    found = entry(math.nan, same_language(0.8))
    assert bias_verdict(found).title == NOT_MEASURED
    assert "No query has a relevant passage in another language" in bias_verdict(found).sentences[0]
    found["lists"] = {"left_out_measures": {"intrusion@10": "short"}}
    assert "too short" in bias_verdict(found).sentences[0]
    del found["multilingual"]
    found["left_out"] = {"multilingual": "the passages are in one language"}
    verdict = bias_verdict(found)
    assert "the passages are in one language" in verdict.sentences[0]
    assert math.isnan(verdict.bias) and [n.value for n in verdict.numbers] == ["0.900"]


@pytest.mark.parametrize(
    ("after", "share", "amount"),
    [
        (0.05, 0.5, "most of the bias"),
        (0.30, 0.8, "part of the bias"),
        (0.42, 0.8, "hardly any of the bias"),
    ],
)
def test_the_repair_is_that_of_the_result(after, share, amount):
    found = entry(0.44, same_language(0.9), centered(0.44, after, share, 0.26, 0.23))
    verdict = bias_verdict(found)
    text = next(s for s in verdict.sentences if "--order centered" in s)
    assert f"repairs {amount}: {100 * after:.0f} % wrong" in text
    assert "instead of 44 %" in text and "rises by 0.260 (+0.230 to +0.280)" in text
    assert ("--order centered" in verdict.next_step) == (amount != "hardly any of the bias")


def test_no_repair_is_invented():
    verdict = bias_verdict(entry(0.44, same_language(0.9)))
    assert any("does not say what would repair" in s for s in verdict.sentences)
    assert not any("rises" in s or "repairs" in s for s in verdict.sentences)
    assert "mixling audit" in verdict.next_step
    # a gain that is not certain advises nothing
    uncertain = entry(0.44, same_language(0.9), centered(0.44, 0.05, 0.5, 0.03, -0.01))
    assert "mixling audit" in bias_verdict(uncertain).next_step
    little = bias_verdict(entry(0.01, same_language(0.34)))
    assert "nothing to repair" in little.next_step and len(little.sentences) == 2
    assert [repaired_amount(x) for x in (0.5, 0.49, 0.2, 0.19)] == [
        "most of the bias",
        "part of the bias",
        "part of the bias",
        "hardly any of the bias",
    ]


@pytest.fixture(scope="module")
def planted():
    """The sample set with vectors of topics, to which each language adds a vector of its own."""
    task = load_task("sample")
    rng = np.random.default_rng(0)
    group = {g: i for i, g in enumerate(dict.fromkeys(task.query_group))}
    topic = rng.normal(size=(len(group), 64)).astype(np.float32)
    language = 3 * rng.normal(size=(len(task.languages), 64)).astype(np.float32)
    passages = np.zeros((len(task.passages), 64), np.float32)
    for query, passage in task.relevant:
        passages[passage] += topic[group[task.query_group[query]]]
    passages += language[task.passage_language]
    queries = np.stack([topic[group[g]] for g in task.query_group])
    queries += language[task.query_language]
    scorer = DotScorer(queries, passages)
    return task, scorer, rank_task(task, scorer, 10)


def test_the_centered_order_is_measured_on_the_same_vectors(planted):
    task, scorer, ranks = planted
    found = orders.compare_orders(task, ranks, scorer)
    scored = score_task(task, ranks, scorer).entry
    assert found["queries"] == len(task.queries)
    assert found["score"]["mAP"] == pytest.approx(scored["multilingual"]["mAP"])
    assert found["score"]["intrusion@10"] == pytest.approx(scored["bias"]["intrusion@10"])
    scores = scorer(0, len(task.queries))
    for code in range(len(task.languages)):
        mask = task.passage_language == code
        scores[:, mask] -= scores[:, mask].mean(1, keepdims=True)
    by_hand = rank_task(task, lambda a, b: scores[a:b], 10)
    entry_by_hand = score_task(task, by_hand).entry
    assert found["centered"]["mAP"] == pytest.approx(entry_by_hand["multilingual"]["mAP"], abs=1e-6)
    assert found["centered"]["intrusion@10"] < 0.5 * found["score"]["intrusion@10"]
    gain, low, high = found["gain"]
    assert gain == pytest.approx(found["centered"]["mAP"] - found["score"]["mAP"])
    assert 0 < low <= gain <= high


def test_of_many_queries_whole_translation_groups_are_ranked_again(planted, monkeypatch):
    task, scorer, ranks = planted
    monkeypatch.setattr(orders, "MAX_QUERIES", 50)
    found = orders.compare_orders(task, ranks, scorer)
    rows = orders._sample_groups(task)
    assert found["queries"] == len(rows) <= 50
    chosen = {task.query_group[i] for i in rows}
    assert sum(g in chosen for g in task.query_group) == len(rows) and len(chosen) > 1
    monkeypatch.setattr(orders, "MAX_PASSAGES", 10)
    assert orders.compare_orders(task, ranks, scorer) is None


def comparison(difference, low, high, p, p_holm):
    return Comparison(0.5, 0.5 + difference, difference, low, high, p, 0.1, 24, p_holm=p_holm)


def test_a_difference_is_called_what_the_test_says():
    better = comparison(0.1, 0.05, 0.15, 0.001, 0.01)
    assert judge(better, "mAP").outcome == "better" and judge(better, "mAP").reason == ""
    assert judge(better, "intrusion@10").outcome == "worse"
    assert judge(better, "LPR").outcome == "higher"
    assert judge(replace(better, difference=-0.1, low=-0.15, high=-0.05), "mAP").outcome == "worse"
    assert judge(comparison(0.1, -0.1, 0.3, 0.4, 1.0), "mAP") == judge(
        comparison(0.2, -0.1, 0.3, 0.4, 1.0), "mAP"
    )


def test_the_terminal_counts_what_the_correction_alone_holds_back():
    tested = {
        "monolingual de": {"mAP": comparison(0.1, 0.05, 0.15, 0.01, 0.19)},  # held back
        "monolingual en": {"mAP": comparison(0.1, -0.01, 0.2, 0.001, 0.01)},  # better all the same
        "monolingual fr": {"mAP": comparison(0.1, -0.1, 0.3, 0.4, 1.0)},
    }
    (sentence,) = _language_sentences(SimpleNamespace(by_language={"t": tested}), "t")
    assert "better in en" in sentence and f"{SAME} in de, fr" in sentence
    assert "(1 of them only after the correction for 3 tests)" in sentence


def test_an_interval_without_zero_is_never_no_difference_without_the_reason():
    change = judge(comparison(0.1, 0.05, 0.15, 0.01, 0.19), "mAP", tests=19)
    assert change.outcome == SAME
    assert "excludes zero" in change.reason and "correction for 19 tests (Holm)" in change.reason
    assert "0.010 to 0.190" in change.reason
    change = judge(comparison(0.1, 0.01, 0.15, 0.06, 0.6), "mAP", tests=19)
    assert change.outcome == SAME and "permutation test gives p = 0.060" in change.reason
    assert "includes zero" in judge(comparison(0.1, -0.01, 0.2, 0.001, 0.01), "mAP").reason
    assert judge(comparison(0.1, -0.01, 0.2, 0.3, 1.0), "mAP").reason == ""


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_below_the_number_formats_effect_is_never_marked(sign):
    tiny = comparison(sign * 0.0004, sign * 0.0003, sign * 0.0005, 0.0001, 0.001)
    assert tiny.mark and mark(tiny, "mAP") == "≈"
    change = judge(tiny, "mAP")
    assert change.outcome == SAME and change.is_too_small and "number format" in change.reason
    enough = replace(tiny, difference=sign * 0.0006)
    assert judge(enough, "mAP").outcome == ("better" if sign > 0 else "worse")
    assert mark(enough, "mAP") == "**"


def test_the_number_formats_effect_is_the_one_that_was_measured():
    measured = json.loads((ROOT / "benchmarks" / "matrix.json").read_text())
    one, two = measured["mAP in bf16"], measured["mAP in fp32 (studies/instrument.json)"]
    assert max(abs(a - b) for a, b in zip(one, two, strict=True)) <= PRECISION_EFFECT
    assert measured["largest change"] == PRECISION_EFFECT


def test_different_number_formats_are_named():
    summaries = [{"precision": "bf16"}, {"precision": "fp32"}]
    warning = precision_warning(summaries, ["one", "two"])
    assert "one in bf16" in warning and "two in fp32" in warning and "0.0005" in warning
    assert precision_warning(summaries[:1] * 2, ["one", "two"]) == ""


def test_tests_are_counted_over_all_that_were_corrected_together():
    c = comparison(0.1, 0.0, 0.2, 0.1, 0.2)
    assert number_of_tests({"monolingual": {"mAP": c}, "multilingual": {"mAP": c, "R@1": c}}) == 3


def test_the_heat_map_shows_the_figures_of_its_languages():
    found = {
        "languages": ["ar", "es-419", "en"],
        "monolingual": {"by_language": {"ar": {"mAP": 0.91}, "en": {"mAP": 1.0}}},
        "cross-lingual": {
            "by_language": {"ar-es-419": {"mAP": 0.25}, "es-419-en": {"mAP": 0.5}},
        },
    }
    table = score_matrix(found)
    cells = {
        (row["code"], column["code"]): cell
        for row in table["rows"]
        for column, cell in zip(table["columns"], row["cells"], strict=True)
    }
    assert cells["ar", "ar"] == {"text": ".91", "step": 18, "same": True}
    assert cells["en", "en"]["text"] == "1.00" and cells["en", "en"]["step"] == 20
    assert cells["ar", "es-419"] == {"text": ".25", "step": 5, "same": False}
    assert cells["es-419", "en"]["text"] == ".50"
    assert cells["en", "ar"] == {"text": "", "step": None, "same": False}
    scaled = heat_table(["ar"], ["ar"], {("ar", "ar"): 2.0}, str, 4.0)
    assert scaled["rows"][0]["cells"][0]["step"] == 10


def test_every_color_of_the_heat_map_can_be_read():
    rules = re.findall(r"\.h\d+\{background:rgb\((\d+),(\d+),(\d+)\);color:(#\w+)\}", heat_css())
    assert len(rules) == 42  # both themes
    charts = [heat_color(i / 100) for i in range(101)]
    rules += [(*re.findall(r"\d+", background), text) for background, text in charts]
    for *rgb, text in rules:
        light = luminance(tuple(map(int, rgb)))
        dark, bright = sorted((light, 1.0 if text == "#fff" else 0.0))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, rgb


def test_the_answer_bars_are_the_shares():
    rows = answer_bars(entry(0.4, same_language(0.6)))
    assert [r["code"] for r in rows] == ["ar", "en", "zh"]
    for row in rows:
        assert sum(p["percent"] for p in row["parts"]) == pytest.approx(100)
        first = row["parts"][0]
        assert first["same"] and first["code"] == row["code"] and first["percent"] == 60
        assert row["fair"] == pytest.approx(100 / 3)


def test_wrong_answers_stand_before_right_ones_in_other_languages():
    def query(code, first, ranks):
        return {
            "query": "q",
            "query_language": code,
            "first_is_right": first[0][2],
            "first": first,
            "right": ["r", "en"],
            "right_ranks": ranks,
        }

    examples = [
        query("en", [["a", "en", True], ["b", "en", False]], [["en", 1], ["ar", 7], ["zh", 9]]),
        query("en", [["c", "en", False]], [["ar", 3]]),
        query("en", [["d", "en", False]], [["en", 2]]),  # displaces only its own language
        query("zh", [["e", "ar", False]], [["en", 2]]),  # wrong, in another language
        query("ar", [["f", "en", True], ["g", "ar", False]], [["en", 1], ["zh", 2]]),
        query("ar", [["h" * 300, "ar", False]], [["en", 2]]),
    ]
    rows = wrong_answers(examples)
    assert [(r["query"]["language"], r["place"]) for r in rows] == [("en", 1), ("ar", 1), ("en", 2)]
    assert rows[2]["wrong"]["text"] == "b"
    assert rows[2]["after"] == [{"name": "Arabic", "rank": 7}, {"name": "Chinese", "rank": 9}]
    assert len(rows[1]["wrong"]["text"]) == 160 and rows[1]["query"]["dir"] == "rtl"
    assert len(wrong_answers(examples, 1)) == 1 and wrong_answers([]) == []


def test_every_measure_is_in_one_group_and_five_stand_outside():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(ALL) and len(HEADLINE) == 5
