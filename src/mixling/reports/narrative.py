"""Results in words: the first lines of every report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.tasks import SCENARIOS

if TYPE_CHECKING:
    from mixling.reports.runs import TaskComparison

# characters of a run's name in a table
NAME_LENGTH = 60


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


def describe_result(result: EvaluationResult, name: str, task: str) -> list[str]:
    """Describe one run on one task in a few sentences.

    Args:
        result: The run's result.
        name: Name of the run.
        task: Name of the task.

    Returns:
        The sentences.
    """
    entry = result.summary["tasks"][task]
    scores = [f"{s} {entry[s]['mAP']:.3f}" for s in SCENARIOS if s in entry]
    sentences = [f"{name}: mAP {', '.join(scores)}."]
    if "multilingual" not in entry:
        return sentences
    share, fair = same_language_share(entry)
    sentences.append(
        f"With passages in {len(entry['languages'])} languages, {share:.0%} of the first ten "
        f"answers are in the query's language. A fair share is {fair:.0%}: its share of the "
        "relevant passages."
    )
    wrong = entry.get("bias", {}).get("intrusion@10")
    if wrong is not None and wrong == wrong and "monolingual" in entry:
        sentences.append(
            f"{wrong:.0%} of the first ten are wrong, in the query's language, and before a "
            "relevant passage in another language."
        )
    return sentences


def describe_comparison(tested: TaskComparison, name: str, first_name: str) -> list[str]:
    """Describe a comparison: what rose, what fell, and what cannot be told apart.

    Args:
        tested: Comparisons of a task.
        name: Name of the run.
        first_name: Name of the run that it is compared with.

    Returns:
        The sentences.
    """
    rose: list[str] = []
    fell: list[str] = []
    same: list[str] = []
    for scenario in SCENARIOS:
        comparison = tested.get(scenario, {}).get("mAP")
        if comparison is None or comparison.p_holm is None:
            continue
        c = comparison
        text = f"{scenario} {c.difference:+.3f} [{c.low:+.3f}, {c.high:+.3f}]"
        (same if comparison.p_holm >= 0.05 else rose if c.difference > 0 else fell).append(text)
    parts = [
        f"{verb} {', '.join(texts)}"
        for verb, texts in (("rose:", rose), ("fell:", fell), ("no difference shown:", same))
        if texts
    ]
    groups = next((c.groups for measures in tested.values() for c in measures.values()), 0)
    sentences = [
        f"{name} against {first_name}, mAP {'; '.join(parts)} ({groups} translation groups)."
    ]
    distance = tested.get("multilingual", {}).get("rank_distance")
    if distance is not None:
        sentences.append(f"Rank distance {distance.first:.0f} → {distance.second:.0f}.")
    main_scenario = "multilingual" if "multilingual" in tested else "monolingual"
    main = tested.get(main_scenario, {}).get("mAP")
    if main is not None and main.p_seeds is not None:
        sentences.append(
            f"With seeds as units (a claim about the method) p = {main.p_seeds:.3f} for "
            f"{main_scenario} mAP."
        )
    return sentences


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
