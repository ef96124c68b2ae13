"""Search for a balanced recipe on queries and sentences: `python -m studies.located`.

The search uses development data alone. MLQA's answers are located first (`mixling locate-answers`)
with zero-shot e5-small: the training part to train on, the held-out part as a development task of
sentences. Its relevant sentences are those that the zero-shot model finds within a language, so its
monolingual scores favor that model; cross-lingual and multilingual scores tell who finds the same
sentence in other languages. Monolingual quality is measured on `mlqa-held-out` (paragraphs) and
`arcd-sentences` (answers that people marked). Rows are added to located.json as they are measured;
an interrupted run goes on. A model that later studies read (CHOSEN) is trained again if it is
missing.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from studies.balanced import ELEVEN, figures

from mixling.corpora.catalog import load
from mixling.corpora.files import write_text
from mixling.debiasing.debias import debias
from mixling.encoding.vectors import encode_cached, normalize_for_similarity
from mixling.evaluation.benchmarks import load_task
from mixling.evaluation.tasks import Task
from mixling.machine import library_versions, machine_info
from mixling.models.retriever import Retriever
from mixling.models.weights import DEFAULT
from mixling.preparation.answer_sentences import best_sentence, passage_sentences, sentence_at
from mixling.preparation.locate_answers import MARGIN, MAX_RELATIVE_SCORE, locate_answers
from mixling.studies.plan import override
from mixling.training.average import average, average_with
from mixling.training.train import train
from mixling.transforms.transforms import AffineTransform

RESULT = Path(__file__).with_suffix(".json")
SENTENCES = "located-sentences"
SHARES = (0.4,)
BITEXT = {"name": "bitext", "weight": 1.0}
BASE = {
    "data": {"sources": ["LOCATED"]},
    "batches": {"strategy": "hybrid", "size": 32, "alpha": 0.5},
    "objective": {"temperature": 0.02, "terms": [BITEXT]},
    "training": {"steps": 100, "lr": 3e-5, "freeze_embeddings": True, "checkpoint_every": 100},
}
BOTH = {"data.sources": ["mlqa", "LOCATED"], "data.window": 600, "batches.corpora": 0.0}
LONG = {**BOTH, "batches.negatives": 2, "training.steps": 200, "training.lr": 5e-5}
LORA = {"model.lora": {"rank": 16, "alpha": 32}, "training.lr": 5e-4}
# name -> keys over BASE, and the shares of the base's weights at which it is measured
TRIALS: dict[str, tuple[dict, tuple[float, ...]]] = {
    "paragraphs": ({"data.sources": ["mlqa"], "data.window": 600}, SHARES),
    "sentences": ({}, SHARES),
    "sentences, 2 negatives": ({"batches.negatives": 2}, SHARES),
    "sentences, 2 negatives, x-y": ({"batches.negatives": 2, "batches.strategy": "x-y"}, SHARES),
    "both, 2 negatives, 200 steps, lr 5e-5": (LONG, (0.2, 0.4)),
    "both, 2 negatives, 400 steps, lr 5e-5": ({**LONG, "training.steps": 400}, (0.2, 0.4)),
    # as many pairs as 200 steps of 32, the rate by the root of the batch
    "both, 2 negatives, 128 a batch, 50 steps, lr 1e-4": (
        {**LONG, "batches.size": 128, "training.steps": 50, "training.lr": 1e-4},
        (0.2, 0.4),
    ),
    "both, 2 negatives, 128 a batch, 200 steps, lr 1e-4": (
        {**LONG, "batches.size": 128, "training.lr": 1e-4},
        (0.2, 0.3, 0.4),
    ),
    "both, 2 negatives, x-y, 200 steps, lr 5e-5": ({**LONG, "batches.strategy": "x-y"}, (0.2, 0.4)),
    # the untrained model's scores of the batch's passages as an anchor; half of the layers left
    # alone; low-rank adapters, ten times the rate
    "both, 2 negatives, 200 steps, lr 5e-5, anchored": (
        {**LONG, "objective.terms": [BITEXT, {"name": "distil-scores", "temperature": 0.02}]},
        SHARES,
    ),
    "both, 2 negatives, 200 steps, lr 5e-5, upper 6 layers": (
        {**LONG, "training.freeze_layers": 6},
        SHARES,
    ),
    "both, 2 negatives, 200 steps, lr 5e-4, LoRA": ({**LONG, **LORA}, (0.2, 0.4)),
    "both, 2 negatives, x-y, 200 steps, lr 5e-4, LoRA": (
        {**LONG, "batches.strategy": "x-y", **LORA},
        (0.2, 0.4),
    ),
    "both, 2 negatives, 800 steps, lr 5e-4, LoRA": (
        {**LONG, "training.steps": 800, **LORA},
        (0.0, 0.2, 0.4),
    ),
    "both, 2 negatives, 800 steps, lr 5e-5": ({**LONG, "training.steps": 800}, (0.2, 0.3, 0.4)),
    "both, 2 negatives, x-y, 800 steps, lr 5e-5": (
        {**LONG, "batches.strategy": "x-y", "training.steps": 800},
        (0.2, 0.3, 0.4),
    ),
    "both, 2 negatives, x-y, 800 steps, lr 5e-5, seed 1": (
        {
            **LONG,
            "batches.strategy": "x-y",
            "training.steps": 800,
            "batches.seed": 1,
            "training.seed": 1,
        },
        (0.2,),
    ),
}
# trials whose weights are averaged with each other, then with the base's (Wortsman et al. 2022,
# arXiv:2203.05482)
SOUPS: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "both, 2 negatives, 800 steps, LoRA and all weights averaged": (
        ("both, 2 negatives, 800 steps, lr 5e-5", "both, 2 negatives, 800 steps, lr 5e-4, LoRA"),
        (0.2, 0.3, 0.4),
    ),
    "both, 2 negatives, 800 steps, x-y and hybrid averaged": (
        ("both, 2 negatives, x-y, 800 steps, lr 5e-5", "both, 2 negatives, 800 steps, lr 5e-5"),
        (0.2, 0.3, 0.4),
    ),
    "both, 2 negatives, 800 steps, x-y, hybrid and LoRA averaged": (
        (
            "both, 2 negatives, x-y, 800 steps, lr 5e-5",
            "both, 2 negatives, 800 steps, lr 5e-5",
            "both, 2 negatives, 800 steps, lr 5e-4, LoRA",
        ),
        (0.2,),
    ),
    # the gain from a second run of the same strategy
    "both, 2 negatives, 800 steps, two of x-y averaged": (
        (
            "both, 2 negatives, x-y, 800 steps, lr 5e-5",
            "both, 2 negatives, x-y, 800 steps, lr 5e-5, seed 1",
        ),
        (0.2,),
    ),
}

# transforms fitted after training, on SIB-200's sentences in XQuAD-R's languages; the trained
# transform also on the located pairs
AFTER = {
    ("both, 2 negatives, 200 steps, lr 5e-5", 0.4): {
        "trained": ["sib-200", "LOCATED"],
        "lsar": ["sib-200"],
    },
    ("both, 2 negatives, 400 steps, lr 5e-5", 0.4): {"lsar": ["sib-200"]},
}

# models written to OUT for the tests: what `--recipe balanced` trains (same plans, same settings),
# then the recipes before it, newest first (studies/recipe.toml, studies/low-resource.toml)
CHOSEN = {
    "balanced": ("both, 2 negatives, 800 steps, x-y and hybrid averaged", 0.2),
    "balanced-800": ("both, 2 negatives, x-y, 800 steps, lr 5e-5", 0.2),
    "balanced-400": ("both, 2 negatives, 400 steps, lr 5e-5", 0.4),
    "balanced-200": ("both, 2 negatives, 200 steps, lr 5e-5", 0.4),
}


def agreement(retriever: Retriever, out: Path) -> list[dict]:
    """Measure how well the model finds the answer's sentence where people marked it.

    For each margin: the share of correct sentences and of links kept. Last, the share of negatives
    that are the marked answer.
    """
    rows = []
    for name, split, language in (
        ("arcd", "train", "ar"),
        ("tydi", "train", "en"),
        ("tydi", "train", "sw"),
    ):
        corpus = load(name, split, languages=[language])
        sentences = passage_sentences(corpus)
        query_vectors, passage_vectors = (
            normalize_for_similarity(
                retriever, encode_cached(retriever, texts, role, precision="bf16", folder=out)[0]
            )
            for texts, role in (
                (corpus.queries["text"].to_pylist(), "query"),
                (sentences.texts, "passage"),
            )
        )
        mean = passage_vectors.mean(0)
        query_of_group = {g: i for i, g in enumerate(corpus.queries["group"].to_pylist())}
        correct, margins, sentence_counts, wrong, negatives = [], [], [], 0, 0
        for group, passage, start in zip(
            *(corpus.links[c].to_pylist() for c in ("group", "passage", "start")), strict=True
        ):
            first, last = sentences.edges[passage], sentences.edges[passage + 1]
            if start is None or last - first < 2:
                continue
            vector = query_vectors[query_of_group[group]]
            scores = passage_vectors[first:last] @ vector
            best, margin = best_sentence(scores[None], np.array([True]), np.array([mean @ vector]))
            answer = sentence_at(sentences, passage, start) - first
            correct.append(best == answer)
            margins.append(margin)
            sentence_counts.append(last - first)
            if margin >= MARGIN:
                negatives_mask = scores <= mean @ vector + MAX_RELATIVE_SCORE * (
                    scores[best] - mean @ vector
                )
                wrong, negatives = (
                    wrong + int(negatives_mask[answer]),
                    negatives + int(negatives_mask.sum()),
                )
        is_correct, margin_array = np.array(correct), np.array(margins)
        rows.append(
            {
                "set": f"{name}, {language}",
                "answers": len(correct),
                "chance": float(np.mean(1 / np.array(sentence_counts))),
                "margins": {
                    m: [
                        float(is_correct[margin_array >= m].mean()),
                        float((margin_array >= m).mean()),
                    ]
                    for m in (0.0, MARGIN, 0.3, 0.5)
                },
                "wrong negatives": wrong / negatives,
            }
        )
    return rows


def trial_config(trial: dict, located: Path) -> dict:
    """Return the configuration of a trial."""
    config = override(BASE, trial)
    source = {"name": "mlqa-sentences", "path": str(located)}
    config["data"]["sources"] = [source if s == "LOCATED" else s for s in config["data"]["sources"]]
    return config


def folder_of(trial: str) -> str:
    """Return the name of a trial's run."""
    return "run-" + "".join(c if c.isalnum() else "-" for c in trial)


def train_trial(name: str, out: Path) -> Path:
    """Train the model of a trial if it is missing, and delete its checkpoints."""
    run = out / folder_of(name)
    model = train(trial_config(TRIALS[name][0], out / "mlqa"), run)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return model


def load_trial(name: str, out: Path) -> tuple[Retriever, float]:
    """Return the model of a trial, or of several averaged, and the seconds of training."""
    names, _ = SOUPS.get(name, ((name,), ()))
    models = [train_trial(n, out) for n in names]
    student = Retriever(str(models[0]))
    if name in SOUPS:
        average(student, models)
    return student, sum(json.loads((p.parent / "run.json").read_text())["seconds"] for p in models)


def line(row: dict) -> str:
    """Format a row for the terminal."""
    paragraphs, sentences = row["mlqa-held-out"], row[SENTENCES]
    return (
        f"{row['trial']:32} {row['share']:.1f} {row.get('after', ''):4} held-out "
        f"{paragraphs['monolingual']:.4f} {paragraphs['cross-lingual']:.4f} "
        f"{paragraphs['multilingual']:.4f} {paragraphs['rank distance']:.1f}  "
        f"sentences {sentences['monolingual']:.4f} {sentences['cross-lingual']:.4f} "
        f"{sentences['multilingual']:.4f} {sentences['rank distance']:.1f}  "
        f"ar {row['arcd-sentences']['monolingual']:.4f}"
    )


def main() -> None:
    """Run the trials that are not measured yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/located"))
    out = parser.parse_args().out
    committed = json.loads(RESULT.read_text()) if RESULT.exists() else {"rows": []}
    rows = committed["rows"]
    reports = {
        split: locate_answers(DEFAULT, "mlqa", out / name, split=split, precision="bf16").to_dict()
        for split, name in (("train", "mlqa"), ("held-out", SENTENCES))
    }
    agreement_rows = committed.get("agreement") or agreement(Retriever(DEFAULT), out / "agreement")
    tasks: list[Task] = [
        load_task(t) for t in ("mlqa-held-out", "arcd-sentences", str(out / SENTENCES))
    ]
    done = {(r["trial"], r["share"], r.get("after", "")) for r in rows}

    def measure_trial(
        name: str, retriever: Retriever, share: float, seconds: float | None = None
    ) -> None:
        if (name, share, "") not in done:
            add(name, share, seconds, "", figures(retriever, tasks, out / "measured"))
        for method, fit in AFTER.get((name, share), {}).items():
            if (name, share, method) not in done:
                sources = [x if x != "LOCATED" else str(out / "mlqa") for x in fit]
                transform = debias(
                    retriever,
                    method,
                    sources,
                    languages=ELEVEN,
                    vector_cache=out / "measured",
                    precision="bf16",
                )
                assert isinstance(transform, AffineTransform)
                add(
                    name,
                    share,
                    seconds,
                    method,
                    figures(retriever, tasks, out / "measured", transform),
                )
        shutil.rmtree(out / "measured", ignore_errors=True)

    def add(name: str, share: float, seconds: float | None, after: str, result: dict) -> None:
        row = {"trial": name, "share": share, "after": after, "seconds": seconds, **result}
        rows.append(row)
        content = {
            "rows": rows,
            "base": BASE,
            "trials": TRIALS,
            "soups": SOUPS,
            "located": reports,
            "agreement": agreement_rows,
            "versions": library_versions(),
            "machine": machine_info(),
        }
        write_text(RESULT, json.dumps(content, indent=1) + "\n")
        print(line(row), flush=True)

    if ("untrained", 1.0, "") not in done:
        measure_trial("untrained", Retriever(DEFAULT), 1.0)
    for name, (_, shares) in {**TRIALS, **SOUPS}.items():
        missing_shares = [
            s
            for s in shares
            if any((name, s, a) not in done for a in ("", *AFTER.get((name, s), {})))
        ]
        if not missing_shares:
            continue
        student, seconds = load_trial(name, out)
        base, current = Retriever(DEFAULT), 0.0
        for share in missing_shares:
            if share > current:
                average_with(student, base, 1 - (1 - share) / (1 - current))
            current = share
            measure_trial(name, student, share, seconds)
    for folder, (name, share) in CHOSEN.items():
        if not (out / folder).exists():
            recipe, _ = load_trial(name, out)
            average_with(recipe, Retriever(DEFAULT), share)
            recipe.save(out / folder, card=None, origin=recipe.origin)


if __name__ == "__main__":
    main()
