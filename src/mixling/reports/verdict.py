"""The verdict of a report: strength and cost of the language bias, and its repair.

Everything is read from the result. What the result does not hold is not said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mixling.corpora.languages import language_name
from mixling.evaluation.bias.severity import (
    MIN_GAIN,
    MIN_LOSS,
    MODERATE,
    same_language_bias,
    severity,
    severity_phrase,
)

# share of the bias that a repair must take away to repair "most" or "part" of it
MOST, PART = 0.5, 0.2
NOT_MEASURED = "Language bias was not measured"


@dataclass(frozen=True)
class HeadlineNumber:
    """A figure at the head of a report.

    Args:
        value: The figure, formatted.
        meaning: What it says, as the rest of a sentence that begins with the figure.
        between: Its interval, or the figures it follows from.
    """

    value: str
    meaning: str
    between: str


@dataclass(frozen=True)
class BiasVerdict:
    """The verdict on the language bias of a result on one task.

    Args:
        title: The verdict in a few words, such as "Strong language bias".
        bias: Share of the first ten that language has put there (`evaluation.bias.severity`); NaN
            where it was not measured.
        sentences: What it consists in, what it costs, and what would repair it.
        numbers: The figures behind it.
        next_step: What to do next.
    """

    title: str
    bias: float
    sentences: list[str]
    numbers: list[HeadlineNumber]
    next_step: str


def percent(share: float) -> str:
    """Format a share as whole per cent."""
    return f"{100 * share:.0f} %"


def same_language_share(entry: dict[str, Any]) -> tuple[float, float]:
    """Compute the share of the query's language among the first ten answers.

    Args:
        entry: A task's entry of a summary, with the multilingual scenario.

    Returns:
        The share, and the fair share: that of the language among the relevant passages. Both are
        means over query languages.
    """
    multilingual = entry["multilingual"]
    share = [s.get(x, 0.0) for x, s in multilingual["top10_share"].items()]
    fair = [s.get(x, 0.0) for x, s in multilingual["fair_share"].items()]
    return sum(share) / len(share), sum(fair) / len(fair)


def favored_language(entry: dict[str, Any]) -> tuple[str, float, float]:
    """Find the language that queries in other languages find most beyond its fair share.

    Args:
        entry: A task's entry of a summary, with the multilingual scenario.

    Returns:
        The language, its share of the first ten and its fair share, both means over the queries'
        other languages.
    """
    shares, fair_shares = (entry["multilingual"][k] for k in ("top10_share", "fair_share"))
    found: list[tuple[float, str, float, float]] = []
    for language in entry["languages"]:
        others = [x for x in shares if x != language]
        if others:
            share = sum(shares[x].get(language, 0.0) for x in others) / len(others)
            fair = sum(fair_shares[x].get(language, 0.0) for x in others) / len(others)
            found.append((share - fair, language, share, fair))
    _, language, share, fair = max(found, default=(0.0, "", 0.0, 0.0))
    return language, share, fair


def is_measured(entry: dict[str, Any]) -> bool:
    """Return whether a task can tell of language bias."""
    return not math.isnan(entry.get("bias", {}).get("intrusion@10", math.nan))


def bias_of(entry: dict[str, Any]) -> float:
    """Return the bias that a verdict names.

    Args:
        entry: A task's entry of a summary.

    Returns:
        The bias toward the query's language, or the excess of the language that queries in other
        languages find, whichever is larger; NaN where it was not measured.
    """
    if not is_measured(entry):
        return math.nan
    share, fair = same_language_share(entry)
    _, favored, favored_fair = favored_language(entry)
    return max(
        same_language_bias(entry["bias"]["intrusion@10"], share - fair), favored - favored_fair
    )


def bias_verdict(entry: dict[str, Any]) -> BiasVerdict:
    """Judge the language bias of a result on a task.

    Args:
        entry: The task's entry of a summary.

    Returns:
        The verdict.
    """
    if not is_measured(entry):
        return BiasVerdict(
            NOT_MEASURED,
            math.nan,
            [_why_not_measured(entry)],
            _score_numbers(entry),
            "measure a task whose queries have answers in several languages, such as "
            "`--task xquad-r`.",
        )
    bias, wrong = bias_of(entry), entry["bias"]["intrusion@10"]
    share, fair = same_language_share(entry)
    favored, favored_share, favored_fair = favored_language(entry)
    is_same_language = bias > favored_share - favored_fair or bias < MODERATE
    toward = "" if is_same_language else f" toward {language_name(favored)}"
    sentences = [
        f"{percent(wrong)} of the first ten are wrong passages in the query's language that stand "
        "before a right answer in another language."
    ]
    if wrong >= MODERATE > same_language_bias(wrong, share - fair):
        sentences.append(
            "They are no sign of bias: the query's language has no more than its fair share of the "
            f"first ten ({percent(share)}, fair {percent(fair)})."
        )
    if not is_same_language:
        sentences.append(
            f"Queries in other languages find {language_name(favored)} in "
            f"{percent(favored_share)} of their first ten; its fair share is "
            f"{percent(favored_fair)}."
        )
    repair, repairs = _repair(entry, bias, is_same_language)
    sentences += [x for x in (_cost(entry), repair) if x]
    return BiasVerdict(
        severity_phrase(bias) + toward, bias, sentences, _numbers(entry), _next_step(bias, repairs)
    )


def _why_not_measured(entry: dict[str, Any]) -> str:
    """Say why a task cannot tell of language bias."""
    if "multilingual" not in entry:
        reason = entry.get("left_out", {}).get("multilingual", "the result has no such scenario")
        return f"There is no multilingual scenario: {reason}."
    if "intrusion@10" in entry.get("lists", {}).get("left_out_measures", {}):
        return "The lists of the search system are too short to count wrong passages (below)."
    return "No query has a relevant passage in another language that a wrong one could displace."


def _cost(entry: dict[str, Any]) -> str:
    """Describe the cost of searching all languages together; "" if there is no comparison."""
    scenario = "monolingual" if "monolingual" in entry else "cross-lingual"
    if scenario not in entry:
        return ""
    alone, pooled = entry[scenario]["mAP"], entry["multilingual"]["mAP"]
    if alone - pooled < MIN_LOSS:
        return (
            f"Searching all languages together costs little: mAP is {pooled:.3f}, and "
            f"{alone:.3f} in the {scenario} scenario."
        )
    return (
        f"Searching all languages together costs {alone - pooled:.3f} of mAP: it falls from "
        f"{alone:.3f} ({scenario}) to {pooled:.3f} (multilingual)."
    )


def _repair(entry: dict[str, Any], bias: float, is_same_language: bool) -> tuple[str, bool]:
    """Describe the repair by the order `centered`, and return whether it repairs enough."""
    orders = entry.get("orders", {})
    if "centered" not in orders or "intrusion@10" not in orders["centered"]:
        if bias < MODERATE:
            return "", False
        return (
            "This result holds no repaired search, so it does not say what would repair the bias.",
            False,
        )
    gain, low, high = orders["gain"]
    if bias < MODERATE and gain < MIN_GAIN:
        return "", False
    fair = same_language_share(entry)[1]
    before, after = (
        same_language_bias(orders[x]["intrusion@10"], orders[x]["same_language_share@10"] - fair)
        for x in ("score", "centered")
    )
    change = (
        f"multilingual mAP {'rises' if gain >= 0 else 'falls'} by {abs(gain):.3f} "
        f"({low:+.3f} to {high:+.3f})"
    )
    worth_it = gain >= MIN_GAIN and low > 0
    if bias < MODERATE or not is_same_language:
        return f"With `--order centered`, {change}.", worth_it
    repaired = (before - after) / before if before > 0 else 0.0
    amount = repaired_amount(repaired)
    return (
        f"`--order centered` repairs {amount}: {percent(orders['centered']['intrusion@10'])} "
        f"wrong same-language passages instead of {percent(orders['score']['intrusion@10'])}, and "
        f"{change}.",
        worth_it and repaired >= PART,
    )


def repaired_amount(share: float) -> str:
    """Say how much of a bias a repair takes away.

    Args:
        share: The bias less the bias that is left, as a share of the bias.

    Returns:
        "most of the bias", "part of the bias" or "hardly any of the bias".
    """
    return (
        "most of the bias"
        if share >= MOST
        else "part of the bias"
        if share >= PART
        else "hardly any of the bias"
    )


def _next_step(bias: float, repairs: bool) -> str:
    """Return the next step for the user."""
    if repairs:
        return (
            "search with `--order centered`, or put a transform behind the model "
            "(`mixling debias`)."
        )
    if severity(bias) == "little":
        return "nothing to repair; `mixling compare` sets this result against another."
    return "try transforms and search orders on your own documents with `mixling audit`."


def _numbers(entry: dict[str, Any]) -> list[HeadlineNumber]:
    """Return the three figures behind a verdict."""
    interval = entry.get("intervals", {}).get("bias", {}).get("intrusion@10")
    share, fair = same_language_share(entry)
    numbers = [
        HeadlineNumber(
            percent(entry["bias"]["intrusion@10"]),
            "of the first ten are wrong passages in the query's language",
            _interval(interval, percent),
        ),
        HeadlineNumber(
            percent(share),
            "of the first ten are in the query's language",
            f"a fair share is {percent(fair)}: its share of the relevant passages",
        ),
    ]
    scenario = "monolingual" if "monolingual" in entry else "cross-lingual"
    if scenario in entry:
        alone, pooled = entry[scenario]["mAP"], entry["multilingual"]["mAP"]
        numbers.append(
            HeadlineNumber(
                f"{alone - pooled:.3f}",
                "of mAP is lost where all languages are searched together",
                f"{scenario} {alone:.3f}, multilingual {pooled:.3f}",
            )
        )
    return numbers


def _score_numbers(entry: dict[str, Any]) -> list[HeadlineNumber]:
    """Return the mAP of each scenario, where bias was not measured."""
    return [
        HeadlineNumber(
            f"{entry[scenario]['mAP']:.3f}",
            f"is the {scenario} mAP",
            _interval(
                entry.get("intervals", {}).get(scenario, {}).get("mAP"), lambda v: f"{v:.3f}"
            ),
        )
        for scenario in ("monolingual", "cross-lingual", "multilingual")
        if scenario in entry
    ]


def _interval(interval: Sequence[float] | None, form: Any) -> str:
    """Format a 95 % interval, "" where there is none."""
    if interval is None or math.isnan(interval[0]):
        return ""
    return f"95 % interval {form(interval[0])} to {form(interval[1])}"
