"""The command `mixling schedule`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mixling.batches.schedule import Schedule
    from mixling.training.pairs import PairTexts


def run(
    config: Annotated[
        Path, typer.Argument(help="The training configuration, or with --variant a study (TOML).")
    ],
    steps: Annotated[
        int, typer.Option("--steps", "-n", min=1, help="The number of steps to show.")
    ] = 100,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each step, and nothing else.")
    ] = False,
    variant: Annotated[
        str | None, typer.Option(help="Show this variant of a study; CONFIG is the study's file.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="With --variant: its seed; default: the first.")
    ] = None,
) -> None:
    """Show the batches of a training in advance: languages, shares, padding, a hash of the plan."""
    import json

    from mixling.errors import MixlingError
    from mixling.training.load_config import load_config, soup_runs
    from mixling.training.training_data import load_training_data

    if variant is not None:
        from mixling.studies.plan import variant_run

        training, _ = variant_run(config, variant, seed)
    elif seed is not None:
        raise MixlingError(
            "--seed selects a run of a study, and no variant is named. Write: mixling schedule "
            "STUDY.toml --variant NAME"
        )
    else:
        training = load_config(config)
    runs = soup_runs(training) or [training]
    for n, run in enumerate(runs, 1):
        data = load_training_data(run)
        schedule, pairs = data.schedule, data.texts
        number = {"run": n} if len(runs) > 1 else {}
        if json_:
            for step in range(steps):
                typer.echo(json.dumps({**number, **schedule.describe(step)}, ensure_ascii=False))
            continue
        if number:
            typer.echo(f"run {n} of {len(runs)}")
        _show(schedule, pairs, steps)


def _show(schedule: Schedule, pairs: PairTexts, steps: int) -> None:
    """Print the first steps, and the shares of all."""
    from collections import Counter

    batch_types, languages, avoided = Counter[str](), Counter[tuple[str, str]](), 0.0
    real = padded = 0
    for step in range(steps):
        plan, row = schedule.plan(step), schedule.describe(step)
        batch_types[plan.batch_type] += 1
        languages.update((q, p) for q, p, _ in row["pairs"])
        avoided += schedule.expected_conflicts(plan)
        if step < 3:
            typer.echo(
                f"step {step}, {plan.batch_type}: "
                + "  ".join(f"{q}-{p}" for q, p, _ in row["pairs"][:16])
                + (" …" if len(row["pairs"]) > 16 else "")
            )
        batch = pairs.batch(plan)
        for texts in (batch.queries, batch.passages):
            real += sum(map(len, texts))
            padded += max(map(len, texts)) * len(texts)
    for batch_type, n in sorted(batch_types.items()):
        typer.echo(f"{batch_type}: {n} of {steps} batches, {n / steps:.1%}")
    total = sum(languages.values())
    for (q, p), n in languages.most_common():
        typer.echo(f"  query {q}, passage {p}: {n / total:.2%}")
    typer.echo(
        f"About {avoided:.1f} pairs of false negatives are avoided, which random batches would "
        "have put together."
    )
    typer.echo(
        f"Padding to the longest text would be {1 - real / padded:.0%} of the characters. Little "
        "of it is computed, because texts are sorted by length and encoded in calls of few "
        "tokens."
    )
    typer.echo(f"plan of {steps} steps: SHA-256 {schedule.fingerprint(steps)}")
