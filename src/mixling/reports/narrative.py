"""What results say, in words: the first lines of every report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixling.evaluation.result import EvaluationResult

if TYPE_CHECKING:
    from mixling.evaluation.significance import Comparison


def same_language_share(entry: dict) -> tuple[float, float]:
    """(share of the pool's top ten in the question's language, its fair share), means over question languages."""
    pool = entry["multilingual"]
    own = [s.get(x, 0.0) for x, s in pool["top10_share"].items()]
    fair = [s.get(x, 0.0) for x, s in pool["fair_share"].items()]
    return sum(own) / len(own), sum(fair) / len(fair)


def describe_result(result: EvaluationResult, name: str, task: str) -> list[str]:
    """A few sentences about one run on one task."""
    entry = result.summary["tasks"][task]
    parts = []
    if "monolingual" in entry:
        parts.append(
            f"in its own language a question finds its answer with mAP {entry['monolingual']['mAP']:.3f}"
        )
    if "cross-lingual" in entry:
        parts.append(f"across two languages with {entry['cross-lingual']['mAP']:.3f}")
    if "multilingual" in entry:
        n = len(entry["languages"])
        parts.append(f"in one pool of {n} languages with {entry['multilingual']['mAP']:.3f}")
    said = [f"{name}: {'; '.join(parts)}."]
    if "multilingual" in entry:
        own, fair = same_language_share(entry)
        said.append(
            f"Of the first ten answers in the pool {own:.0%} are in the question's own language; "
            f"{fair:.0%} would be fair, for that is its share of the right answers."
        )
        wrong = entry.get("bias", {}).get("intrusion@10")
        if wrong is not None and wrong == wrong and "monolingual" in entry:
            said.append(
                f"{wrong:.0%} of the first ten are wrong, in the question's language, and before a right answer in "
                "another."
            )
    return said


def describe_comparison(
    tested: dict[str, dict[str, tuple[Comparison, float]]], name: str, yardstick: str
) -> list[str]:
    """A comparison in words: what rose, what fell, what cannot be told apart."""
    rose: list[str] = []
    fell: list[str] = []
    same: list[str] = []
    seeds = False
    labels = {
        "monolingual": "own language",
        "cross-lingual": "across languages",
        "multilingual": "multilingual",
    }
    for setting, label in labels.items():
        if "mAP" not in tested.get(setting, {}):
            continue
        c, p = tested[setting]["mAP"]
        text = f"{label} {c.difference:+.3f} [{c.low:+.3f}, {c.high:+.3f}]"
        (same if p >= 0.05 else rose if c.difference > 0 else fell).append(text)
        seeds = seeds or c.p_seeds is not None
    parts = [
        f"{word} {', '.join(texts)}"
        for word, texts in (("rose:", rose), ("fell:", fell), ("no difference shown:", same))
        if texts
    ]
    groups = next((c.groups for s in tested.values() for c, _ in s.values()), 0)
    said = [f"{name} against {yardstick}, mAP {'; '.join(parts)} ({groups} translation groups)."]
    if "rank_distance" in tested.get("multilingual", {}):
        c, _ = tested["multilingual"]["rank_distance"]
        said.append(f"Rank distance {c.first:.0f} → {c.second:.0f}.")
    if seeds:
        c, _ = tested["multilingual" if "multilingual" in tested else "monolingual"]["mAP"]
        said.append(
            f"With seeds as units (a claim about the method) p = {c.p_seeds:.3f} for {'multilingual' if 'multilingual' in tested else 'own language'} mAP."
        )
    return said


def display_names(results: list[EvaluationResult]) -> list[str]:
    """Short names of the runs, told apart where two have the same."""
    names = [r.summary.get("label") or str(r.summary["model"]).rstrip("/") for r in results]
    names = [n if len(n) < 60 else "…" + n[-58:] for n in names]
    return distinct(names)


def distinct(names: Sequence[str], form: str = "{} ({})") -> list[str]:
    """Names, those that stand twice (in any case) told apart by their number."""
    plain = [n.casefold() for n in names]
    found: list[str] = []
    for i, name in enumerate(names, 1):
        new = name if plain.count(name.casefold()) == 1 else form.format(name, i)
        while new != name and new.casefold() in {*plain, *(x.casefold() for x in found)}:
            new = form.format(new, i)
        found.append(new)
    return found
