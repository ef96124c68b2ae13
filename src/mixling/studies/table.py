"""The results of a study: a row for each run, a table of means, and tests against one variant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mixling.evaluation.result import EvaluationResult
from mixling.evaluation.rows import task_comparison, task_rows
from mixling.studies.plan import StudyConfig

COLUMNS = (
    ("monolingual", "mAP"),
    ("cross-lingual", "mAP"),
    ("multilingual", "mAP"),
    ("multilingual", "rank_distance"),
)
# A measure of language bias: the share of wrong passages in the query's language among the first
# ten. Studies of earlier versions have no such column.
BIAS = "intrusion@10"


@dataclass(frozen=True, repr=False)
class StudyResult:
    """The results of a study, as they stand in its JSON file.

    Args:
        study: Name of the study.
        file: Its file.
        base: Its base configuration.
        development: The task on which its options were chosen.
        runs: A row for each run: variant, seed, figures of each task, hash of the plan, seconds.
        table: A row for each task and variant: means over seeds, and spreads.
        versions: Versions of the libraries.
        machine: The machine.
        complete: Whether all runs have ended and none has failed.
        against: The variant that the others are tested against.
        tested: `{task: {variant: {scenario.metric: {difference, low, high, p}}}}`.
        failed: The runs that failed: variant, seed, error.
    """

    study: str
    file: str
    base: dict[str, Any]
    development: str
    runs: list[dict[str, Any]]
    table: list[dict[str, Any]]
    versions: dict[str, str]
    machine: dict[str, Any]
    complete: bool
    against: str | None = None
    tested: dict[str, Any] | None = None
    failed: list[dict[str, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        state = "complete" if self.complete else "not complete"
        return f"<StudyResult {self.study}: {len(self.runs)} runs, {state}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the JSON file; it has tests when all runs have ended."""
        content = {k: v for k, v in asdict(self).items() if v is not None}
        return content if self.failed else {k: v for k, v in content.items() if k != "failed"}

    def save(self, file: Path) -> None:
        """Write the results beside the study's file, as JSON and as a Markdown table."""
        from mixling.corpora.files import write_text

        results = self.to_dict()
        content = json.dumps(results, indent=1, ensure_ascii=False)
        write_text(file.with_suffix(".json"), content + "\n")
        write_text(file.with_suffix(".md"), markdown(results) + "\n")


def run_row(name: str, seed: int, result: EvaluationResult, folder: Path) -> dict[str, Any]:
    """Return the row of a run.

    Args:
        name: The variant.
        seed: Its seed.
        result: Its evaluation.
        folder: The folder of the run.
    """
    run = folder / "run" / "run.json"
    facts = json.loads(run.read_text()) if run.exists() else {}
    return {
        "variant": name,
        "seed": seed,
        "tasks": {
            t: {
                **{
                    s: {k: v for k, v in e[s].items() if k != "by_language" or s != "cross-lingual"}
                    for s in ("monolingual", "cross-lingual", "multilingual")
                    if s in e
                },
                "bias": {BIAS: e["bias"][BIAS]} if BIAS in e.get("bias", {}) else {},
                "data": e["data"],
                "intervals": {s: v["mAP"] for s, v in e["intervals"].items() if "mAP" in v},
            }
            for t, e in result.summary["tasks"].items()
        },
        "plan": facts.get("plan"),
        "seconds": facts.get("seconds"),
        "training_data": {k: v["sha256"] for k, v in facts.get("data", {}).items()},
    }


def mean_table(plan: StudyConfig, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each task and variant: means over seeds, and the largest less the smallest.

    Args:
        plan: The study.
        runs: Rows of `run_row`.
    """
    table = []
    for task in plan.study.tasks:
        for variant in plan.variants:
            entries = [
                r["tasks"][task]
                for r in runs
                if r["variant"] == variant.name and task in r["tasks"]
            ]
            if not entries:
                continue
            line: dict[str, Any] = {"task": task, "variant": variant.name, "seeds": len(entries)}
            for scenario, metric in (*COLUMNS, ("bias", BIAS)):
                values = [e[scenario][metric] for e in entries if metric in e.get(scenario, {})]
                # NaN: the task cannot have it, for instance where no query has two answers
                if values and not np.isnan(values).any():
                    line[f"{scenario}.{metric}"] = float(np.mean(values))
                    line[f"{scenario}.{metric}.spread"] = float(max(values) - min(values))
            table.append(line)
    return table


def compare_variants(
    plan: StudyConfig, measured: Mapping[str, list[EvaluationResult]], against: str
) -> dict[str, Any]:
    """Test each variant against another; Holm's correction runs over a task and variant.

    Args:
        plan: The study.
        measured: The results of each variant, one a seed.
        against: The variant that those are tested against which name no other.

    Returns:
        `{task: {variant: {scenario.metric: {difference, low, high, p}}}}`, with the 95 % interval
        of the difference.
    """
    tested: dict[str, Any] = {}
    others = {v.name: v.against or against for v in plan.variants}
    for task in plan.study.tasks:
        for variant, results in measured.items():
            other = others[variant]
            if variant == other or other not in measured:
                continue
            first, second = (
                [task_rows(r.scores, task) for r in side] for side in (measured[other], results)
            )
            comparison = task_comparison(first, second)
            tested.setdefault(task, {})[variant] = {
                f"{scenario}.{metric}": {
                    "difference": c.difference,
                    "low": c.low,
                    "high": c.high,
                    "p": c.p_holm,
                }
                for scenario, metric in (*COLUMNS, ("multilingual", BIAS))
                if metric in comparison.get(scenario, {})
                for c in [comparison[scenario][metric]]
            }
    return tested


def markdown(results: Mapping[str, Any]) -> str:
    """Return the table in Markdown: means over seeds, in brackets the largest less the smallest.

    Args:
        results: The content of a study's JSON file.
    """
    file = results.get("file", "studies/" + results["study"] + ".toml")
    has_bias = any(f"bias.{BIAS}" in line for line in results["table"])
    lines = [
        f"# {results['study']}",
        "",
        f"`mixling study {file}`; mean over seeds (largest less smallest); options chosen on "
        f"{results['development']}.",
        "",
        "| task | variant | seeds | monolingual mAP | cross-lingual mAP | multilingual mAP "
        f"| rank distance |{f' {BIAS} |' if has_bias else ''}",
        f"|---|---|---|---|---|---|---|{'---|' if has_bias else ''}",
    ]
    for line in results["table"]:
        cells = []
        for scenario, metric in (*COLUMNS, *((("bias", BIAS),) if has_bias else ())):
            value = line.get(f"{scenario}.{metric}")
            spread = line.get(f"{scenario}.{metric}.spread", 0)
            digits = 1 if metric == "rank_distance" else 4
            brackets = f" ({spread:.{digits}f})" if line["seeds"] > 1 else ""
            cells.append("–" if value is None else f"{value:.{digits}f}{brackets}")
        lines.append(
            f"| {line['task']} | {line['variant']} | {line['seeds']} | {' | '.join(cells)} |"
        )
    failed = results.get("failed", [])
    if not results["complete"] and (not failed or "tested" not in results):
        lines += ["", "Not complete: the study was cut off; run it again and it goes on."]
    reasons: dict[str, list[str]] = {}
    for run in failed:
        reasons.setdefault(run["error"], []).append(run["variant"])
    for reason, names in reasons.items():
        lines += ["", f"Not measured: {'; '.join(dict.fromkeys(names))}. {reason}"]
    return "\n".join(lines)
