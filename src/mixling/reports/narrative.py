"""Results in words: the first lines of every report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mixling.evaluation.bias.severity import MODERATE, severity
from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import SCENARIOS
from mixling.reports.changes import SAME, judge, number_of_tests
from mixling.reports.verdict import (
    bias_of,
    bias_verdict,
    percent,
    repaired_amount,
)
from mixling.reports.verdict import same_language_share as same_language_share

if TYPE_CHECKING:
    from mixling.reports.runs import TaskComparison

# characters of a run's name in a table
NAME_LENGTH = 60


def describe_result(result: EvaluationResult, name: str, task: str) -> list[str]:
    """Describe one run on one task: the verdict, and the scores behind it.

    Args:
        result: The run's result.
        name: Name of the run.
        task: Name of the task.

    Returns:
        The sentences, the verdict first.
    """
    entry = result.summary["tasks"][task]
    verdict = bias_verdict(entry)
    scores = [f"{s} {entry[s]['mAP']:.3f}" for s in SCENARIOS if s in entry]
    return [f"{verdict.title}.", *verdict.sentences, f"{name}: mAP {', '.join(scores)}."]


def describe_comparison(
    tested: TaskComparison,
    name: str,
    first_name: str,
    entries: tuple[dict[str, Any], dict[str, Any]] | None = None,
) -> list[str]:
    """Describe a comparison: figures that are better, worse, or without detectable difference.

    Args:
        tested: Comparisons of a task.
        name: Name of the run.
        first_name: Name of the run that it is compared with.
        entries: The task's entry of the first run's summary and of this run's, for the bias.

    Returns:
        The sentences.
    """
    tests = number_of_tests(tested)
    sentences = _bias_change(tested, name, first_name, entries, tests)
    groups = next((c.groups for measures in tested.values() for c in measures.values()), 0)
    verbs = {SAME: f"shows {SAME}"}
    for scenario in SCENARIOS:
        comparison = tested.get(scenario, {}).get("mAP")
        if comparison is None or comparison.p_holm is None:
            continue
        c, change = comparison, judge(comparison, "mAP", tests)
        verb = verbs.get(change.outcome, f"is {change.outcome}")
        why = f": {change.reason}" if change.reason else ""
        sentences.append(
            f"{scenario.capitalize()} mAP {verb} "
            f"({c.difference:+.3f}, {c.low:+.3f} to {c.high:+.3f}){why}."
        )
    if groups:
        sentences.append(
            f"{name} is compared with {first_name} over {groups} translation groups in {tests} "
            "tests."
        )
    main_scenario = "multilingual" if "multilingual" in tested else "monolingual"
    main = tested.get(main_scenario, {}).get("mAP")
    if main is not None and main.p_seeds is not None:
        sentences.append(
            f"With the variance over seeds (a claim about the method) p = {main.p_seeds:.3f} for "
            f"{main_scenario} mAP, and the change is between {main.low_seeds:+.3f} and "
            f"{main.high_seeds:+.3f}."
        )
    return sentences


def _bias_change(
    tested: TaskComparison,
    name: str,
    first_name: str,
    entries: tuple[dict[str, Any], dict[str, Any]] | None,
    tests: int,
) -> list[str]:
    """Say whether a run has less or more language bias than the first, and how much it repairs."""
    wrong = tested.get("multilingual", {}).get("intrusion@10")
    if wrong is None or wrong.p_holm is None:
        return []
    change = judge(wrong, "intrusion@10", tests)
    ends = f"{100 * wrong.low:+.1f} to {100 * wrong.high:+.1f} points"
    if change.outcome == SAME:
        why = f": {change.reason}" if change.reason else ""
        return [
            f"No detectable difference in language bias between {name} and {first_name}: "
            f"{percent(wrong.second)} and {percent(wrong.first)} wrong same-language passages in "
            f"the first ten ({ends}){why}."
        ]
    less = "less" if change.outcome == "better" else "more"
    sentence = (
        f"{name} has {less} language bias than {first_name}: {percent(wrong.second)} wrong "
        f"same-language passages in the first ten instead of {percent(wrong.first)} ({ends})."
    )
    if less == "less" and entries is not None and (before := bias_of(entries[0])) >= MODERATE:
        after = bias_of(entries[1])
        sentence += (
            f" {name} repairs {repaired_amount((before - after) / before)} "
            f"({severity(before)} before, {severity(after)} after)."
        )
    return [sentence]


def display_names(results: list[EvaluationResult]) -> list[str]:
    """Name the runs in short, with numbers where two have the same name.

    Args:
        results: One result a run.

    Returns:
        The names.
    """
    names = [r.summary.get("label") or str(r.summary["model"]).rstrip("/") for r in results]
    return distinct([n if len(n) < NAME_LENGTH else "…" + n[2 - NAME_LENGTH :] for n in names])


def distinct(names: Sequence[str], form: str = "{} ({})") -> list[str]:
    """Add numbers to names that occur twice, in whatever case.

    Args:
        names: The names.
        form: Form of a name with its number.

    Returns:
        The names, all different.
    """
    folded = [n.casefold() for n in names]
    result: list[str] = []
    for i, name in enumerate(names, 1):
        new = name if folded.count(name.casefold()) == 1 else form.format(name, i)
        while new != name and new.casefold() in {*folded, *(x.casefold() for x in result)}:
            new = form.format(new, i)
        result.append(new)
    return result
