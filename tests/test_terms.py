"""Terms of the objective in a run.

Their texts, their teachers, resumed and on several processes.
"""

import json

import numpy as np
import pytest
import torch
from tests.test_step import alike, launch
from tests.test_training import config, weights

from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.backward import backward
from mixling.training.load_config import load_config
from mixling.training.objective import Objective
from mixling.training.terms.registry import TERMS
from mixling.training.tokenized import tokenize_batch
from mixling.training.train import train
from mixling.training.training_data import load_training_data

WITHOUT_PASSAGES = [name for name, term in TERMS.items() if not term.needs_passages]


def with_terms(chain, *names, **training):
    return {
        **config(chain, **training),
        "objective": {"terms": [{"name": n, "weight": 0.5} for n in names]},
    }


def test_translations_are_the_same_question_in_another_language(chain):
    settings = load_config(with_terms(chain, "lakda"))
    data = load_training_data(settings)
    corpora, schedule, pairs = data.corpora, data.schedule, data.texts
    rows = corpora[0].queries.to_pylist()
    where = {(r["group"], r["language"]): r["text"] for r in rows}
    seen = set()
    for step in range(20):
        plan = schedule.plan(step)
        batch = pairs.batch(plan, translations=True, pivot="en")
        source = schedule.sources[plan.source]
        for text, i in zip(batch.translations, batch.translated, strict=True):
            group = source.groups[plan.groups[i]]
            asked = source.languages[plan.query_languages[i]]
            found = [x for (g, x), t in where.items() if g == group and t == text]
            assert found and asked not in found
            seen.update(found)
        assert [batch.pivots[k][0] for k in range(len(batch.pivoted))] == [
            where[source.groups[plan.groups[i]], "en"] for i in batch.pivoted
        ]
        again = pairs.batch(plan, translations=True)
        assert list(again.translations) == list(batch.translations)
    assert len(seen) > 3


@pytest.mark.parametrize("name", TERMS)
def test_each_term_joins_hybrid_batches_and_changes_what_is_learnt(chain, tmp_path, name):
    after = weights(train(with_terms(chain, name, steps=3), tmp_path / name))
    plain = weights(train(config(chain, steps=3), tmp_path / "plain"))
    assert after.keys() == plain.keys()
    assert any((after[k] - plain[k]).abs().max() > 1e-6 for k in plain)
    losses = [
        json.loads(x)["loss"] for x in (tmp_path / name / "log.jsonl").read_text().splitlines()
    ]
    assert np.isfinite(losses).all()


def test_a_teacher_that_says_what_the_student_says_is_no_distance_away(chain):
    """The base model is its own teacher before the first step.

    Every distillation is at its least.
    """
    terms = [{"name": "distil-scores"}, {"name": "margin-mse"}]
    base, more = (load_config({**config(chain), "objective": {"terms": x}}) for x in ([], terms))
    data = load_training_data(base)
    schedule, pairs = data.schedule, data.texts
    retriever = Retriever(str(chain))
    batch = pairs.batch(schedule.plan(0))
    vectors = torch.from_numpy(
        np.concatenate(
            [retriever.encode(batch.queries, "query"), retriever.encode(batch.passages, "passage")]
        )
    )
    alone, taught = (Objective(s, retriever).loss_of(batch)(vectors).item() for s in (base, more))
    assert taught == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("name", WITHOUT_PASSAGES)
def test_nothing_encodes_passages_that_nothing_reads(chain, tmp_path, name):
    """The same gradient as when they are encoded and count for nothing."""
    settings = load_config(
        {**config(chain, steps=2), "objective": {"weight": 0.0, "terms": [{"name": name}]}}
    )
    retriever, found = Retriever(str(chain)), []
    objective = Objective(settings, retriever)
    pairs = load_training_data(settings).texts
    for passages in (False, True):
        objective.needs_passages = passages
        turn = tokenize_batch(settings, retriever, objective, pairs, 1)
        retriever.model.zero_grad()
        loss = backward(
            retriever,
            turn.tokens,
            objective.loss_of(turn.batch),
            token_loss=objective.token_loss_of(turn.batch),
        )
        found.append(
            (
                loss,
                len(turn.tokens),
                [p.grad.clone() for p in retriever.model.parameters() if p.grad is not None],
            )
        )
    (one, few, a), (other, many, b) = found
    assert one == pytest.approx(other, abs=1e-6) and many == few + len(turn.batch.passages)
    assert all(torch.allclose(x, y, atol=1e-6) for x, y in zip(a, b, strict=True))
    train(settings, tmp_path / "run")


def test_teachers_read_one_language(chain):
    terms = [{"name": "distil-cosine", "pivot": x} for x in ("en", "de")]
    with pytest.raises(MixlingError, match="one language in a run, but the terms name de and en"):
        Objective(
            load_config({**config(chain), "objective": {"terms": terms}}), Retriever(str(chain))
        )


@pytest.mark.parametrize(
    ("term", "languages", "says"),
    [
        ({"name": "distil-cosine", "pivot": "fr"}, None, "no source has such pairs"),
        ({"name": "lakda"}, ["de"], "parallel source"),
    ],
)
def test_a_term_without_its_texts_is_refused(chain, tmp_path, term, languages, says):
    settings = {**config(chain), "objective": {"terms": [term]}}
    settings["data"] = {"sources": [{"name": "sample", "languages": languages}]}
    settings["batches"] = {"size": 8, "strategy": "x-x-mono"}
    with pytest.raises(MixlingError, match=says):
        train(settings, tmp_path / "run")


@pytest.mark.slow
def test_terms_are_the_same_on_two_processes_and_their_own_weights_are_resumed(
    chain, tmp_path, forks
):
    settings = with_terms(
        chain, "lakda", "distil-cosine", "optical", steps=12, checkpoint_every=5, lr=1e-5
    )
    train(settings, tmp_path / "one")
    launch(forks, tmp_path, settings, tmp_path / "two", 2)
    alike(tmp_path / "one", tmp_path / "two")
    launch(forks, tmp_path, settings, tmp_path / "part", 1, STOP="7")
    train(settings, tmp_path / "part")
    alike(tmp_path / "one", tmp_path / "part")


def test_a_term_from_outside_joins_the_objective_by_its_name(chain, monkeypatch):
    """What CONTRIBUTING asks of a new term.

    A class that says what it reads, and one line in the registry.
    """
    from mixling.training.terms.term import Term

    class QueryNorm(Term):
        needs_passages = False

        def loss(self, vectors, targets):
            return vectors.queries.norm(dim=1).sub(1).square().mean()

    monkeypatch.setitem(TERMS, "query-norm", QueryNorm)
    objective = {"weight": 0.0, "terms": [{"name": "query-norm", "weight": 2.0}]}
    settings = load_config({**config(chain), "objective": objective})
    data = load_training_data(settings)
    schedule, pairs = data.schedule, data.texts
    objective, batch = Objective(settings, Retriever(str(chain))), pairs.batch(schedule.plan(0))
    assert [role for role, *_ in objective.columns(batch)] == ["query"]
    vectors = 3 * torch.nn.functional.normalize(torch.randn(len(batch.queries), 32), dim=1)
    assert objective.loss_of(batch)(vectors).item() == pytest.approx(2 * 4, rel=1e-5)
