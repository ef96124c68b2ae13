"""NaN and infinity are refused by name of the text and of the model or file, wherever vectors are
made, read or compared.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixling.debiasing.debias import debias
from mixling.debiasing.files import debias_vectors
from mixling.debiasing.lsar import Lsar
from mixling.debiasing.registry import create_method
from mixling.debiasing.shift import Shift
from mixling.encoding.late import TokenIndex, token_vectors
from mixling.encoding.read_vectors import load_vectors
from mixling.encoding.shards import encode
from mixling.encoding.vectors import encode_cached, normalize_for_similarity
from mixling.errors import MixlingError, NotFiniteError, check_finite_vectors
from mixling.evaluation.ranks import compute_ranks
from mixling.models.retriever import Retriever
from mixling.preparation.mine_negatives import mine_negatives
from mixling.training.load_config import load_config
from mixling.training.train import train
from mixling.transforms.transforms import AffineTransform


@pytest.fixture
def broken(chain):
    """A retriever that gives NaN for texts with the word crane, and is whole otherwise."""
    retriever = Retriever(str(chain))
    word = retriever.tokenizer.convert_tokens_to_ids("水")
    assert word != retriever.tokenizer.unk_token_id
    with torch.no_grad():
        retriever.encoder.get_input_embeddings().weight[word] = float("nan")
    return retriever


TEXTS = ["a lake", "a heron", "水 and a lake", "a pond"]


@given(
    st.integers(1, 5).flatmap(
        lambda d: st.lists(
            st.lists(st.floats(width=32), min_size=d, max_size=d), min_size=1, max_size=6
        )
    )
)
@settings(max_examples=60, deadline=None)
def test_finite_gives_back_what_is_finite_and_names_the_first_row_that_is_not(rows):
    made = np.array(rows, np.float32)
    good = [all(np.isfinite(x) for x in r) for r in rows]
    if all(good):
        assert check_finite_vectors(made, str, "m") is made
    else:
        with pytest.raises(
            NotFiniteError, match=rf"^m: the vector of <{good.index(False)}> holds (NaN|infinity)"
        ):
            check_finite_vectors(made, lambda i: f"<{i}>", "m")


def test_every_way_to_encode_names_the_text_and_the_model(broken, tmp_path):
    file = tmp_path / "d.jsonl"
    file.write_text(
        "".join(json.dumps({"_id": f"d{i}", "text": t}) + "\n" for i, t in enumerate(TEXTS))
    )
    name = broken.name
    for go, text in (
        (lambda: broken.encode(TEXTS, "passage"), "'水 and a lake'"),
        (
            lambda: encode_cached(broken, TEXTS, "query", folder=tmp_path / "kept"),
            "'水 and a lake'",
        ),
        (lambda: token_vectors(broken, TEXTS, "query"), "'水 and a lake'"),
        (lambda: encode(broken, file, tmp_path / "v", precision="fp32"), "'d2'"),
    ):
        with pytest.raises(NotFiniteError, match=f"{name}.*{text}"):
            go()
    assert not list((tmp_path / "kept").rglob("*.npy")) and not list(
        (tmp_path / "v").glob("*.parquet")
    )
    assert np.isfinite(broken.encode(TEXTS[:2], "passage")).all()


def test_a_linear_layer_with_infinity_is_named_with_the_text(chain):
    from sentence_transformers.sentence_transformer.modules import Dense

    retriever = Retriever(str(chain))
    retriever.model.append(Dense(32, 32, activation_function=torch.nn.Identity()))
    with torch.no_grad():
        retriever.model[-1].linear.bias[3] = float("inf")
    with pytest.raises(NotFiniteError, match=r"'a lake' holds infinity \(4 of 4"):
        retriever.encode(TEXTS, "query")


@pytest.mark.parametrize("command", ["evaluate", "encode", "index", "mine-negatives", "debias"])
def test_a_model_of_nan_ends_every_command_in_one_message(chain, tmp_path, run, command):
    model, source = tmp_path / "m", tmp_path / "d.jsonl"
    retriever = Retriever(str(chain))
    with torch.no_grad():
        retriever.encoder.encoder.layer[1].output.LayerNorm.weight[:] = float("nan")
    retriever.save(model)
    source.write_text(json.dumps({"_id": "crane", "text": "A crane.", "language": "en"}) + "\n")
    out = tmp_path / "out"
    status, _, said = run(
        command,
        *{
            "evaluate": (model, "--task", "sample", "--out", out),
            "encode": (model, source, "--out", out, "--precision", "fp32"),
            "index": (model, source, "--store", out, "--precision", "fp32"),
            "mine-negatives": (model, "sample", "--out", out, "--precision", "fp32"),
            "debias": (model, "--fit", "sample", "--out", out),
        }[command],
    )
    assert status == 2 and f"{model}: the vector of" in said and "Traceback" not in said
    assert (
        not list(out.rglob("summary.json"))
        and not list(out.rglob("shard*"))
        and not (out / "mine.json").exists()
    )


def stored(folder, bad, value=np.nan, dtype=pa.float32()):
    """Vectors of four texts of two groups in two languages, a number of row `bad` replaced."""
    made = np.random.default_rng(0).normal(size=(8, 4)).tolist()
    if bad is not None:
        made[bad][2] = value
    rows = [
        {
            "vector": v,
            "language": "en" if i % 2 else "de",
            "group": f"g{i // 4}",
            "role": "query" if i % 4 < 2 else "passage",
        }
        for i, v in enumerate(made)
    ]
    folder.mkdir()
    form = pa.schema(
        [("vector", pa.list_(dtype)), *((n, pa.string()) for n in ("language", "group", "role"))]
    )
    pq.write_table(pa.Table.from_pylist(rows, form), folder / "v.parquet")
    return folder


@pytest.mark.parametrize(
    "value, dtype, found",
    [
        (np.nan, pa.float32(), "NaN"),
        (-np.inf, pa.float16(), "infinity"),
        (1e300, pa.float64(), "infinity"),
        (None, pa.float32(), "NaN"),
    ],
)
def test_given_vectors_are_refused_by_file_and_row(tmp_path, value, dtype, found):
    folder = stored(tmp_path / "v", 5, value, dtype)
    with pytest.raises(
        NotFiniteError, match=rf"v\.parquet: the vector of row 6 holds {found} \(1 of 8"
    ):
        debias_vectors(folder, "centering", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_given_vectors_of_zero_are_said(tmp_path, caplog):
    folder = stored(tmp_path / "v", None)
    table = pq.read_table(folder / "v.parquet").to_pylist()
    table[3]["vector"] = [0.0] * 4
    pq.write_table(pa.Table.from_pylist(table), folder / "v.parquet")
    debias_vectors(folder, "centering", tmp_path / "out")
    assert "1 vectors are zero" in caplog.text
    moved = (
        pq.read_table(tmp_path / "out" / "vectors" / "v.parquet")["vector"]
        .combine_chunks()
        .flatten()
    )
    assert np.isfinite(np.asarray(moved)).all()


def test_zero_under_cosine_is_reported_once_and_stays_zero(chain, caplog):
    from mixling.encoding import vectors as module

    module._warn_zero_vectors.cache_clear()
    retriever, made = Retriever(str(chain)), np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    for _ in range(2):
        assert normalize_for_similarity(retriever, made).tolist() == pytest.approx(
            np.array([[0.6, 0.8], [0, 0]])
        )
    assert sum("zero" in message for message in caplog.messages) == 1


def test_encoded_files_and_token_indexes_are_checked_as_they_are_read(chain, tmp_path):
    file = tmp_path / "d.jsonl"
    file.write_text(
        "".join(json.dumps({"_id": f"d{i}", "text": t}) + "\n" for i, t in enumerate(TEXTS))
    )
    encode(str(chain), file, tmp_path / "v", precision="fp32", shard=3)
    path = tmp_path / "v" / "shard-00001.parquet"
    table = pq.read_table(path).to_pylist()
    table[0]["vector"][1] = float("nan")
    pq.write_table(pa.Table.from_pylist(table, pq.read_schema(path)), path)
    with pytest.raises(NotFiniteError, match="'d3' holds NaN"):
        load_vectors(tmp_path / "v")
    with pytest.raises(NotFiniteError, match="'d3' holds NaN"):
        from mixling.searching.index import index

        index(str(chain), file, str(tmp_path / "s"), vectors=tmp_path / "v", precision="fp32")
    tokens = np.ones((5, 2), np.float32)
    tokens[3] = np.inf
    TokenIndex(["a", "b", "c"], tokens, np.array([0, 2, 4, 5])).save(tmp_path / "t.npz")
    with pytest.raises(NotFiniteError, match=r"t\.npz: the vector of 'b' holds infinity"):
        TokenIndex.load(tmp_path / "t.npz")


def test_half_precision_that_overflows_is_refused(chain, tmp_path):
    retriever = Retriever(str(chain))
    retriever.model[-1].forward = lambda features: {
        **features,
        "sentence_embedding": features["sentence_embedding"] * 1e7,
    }
    file = tmp_path / "d.jsonl"
    file.write_text(json.dumps({"_id": "d0", "text": "a lake"}) + "\n")
    with pytest.raises(MixlingError, match="the vector of 'd0' has numbers above"):
        encode(retriever, file, tmp_path / "v", precision="fp32", dtype="float16")


def test_scores_of_nan_are_not_ranked():
    scores = np.array([[0.5, 0.1], [0.2, np.nan]], np.float32)
    with pytest.raises(MixlingError, match="query 2 and passage 'b' is NaN"):
        compute_ranks(
            lambda a, b: scores[a:b],
            2,
            np.zeros(2, np.int64),
            np.array([[0, 0], [1, 0]]),
            ["a", "b"],
        )


def test_a_map_of_nan_is_refused_as_it_is_made():
    with pytest.raises(MixlingError, match=r"transform .*lsar"):
        AffineTransform(
            np.full((2, 2), np.nan, np.float32), np.zeros(2, np.float32), {"method": "lsar"}
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_options_and_settings_of_nan_are_refused(chain, tmp_path, value):
    with pytest.raises(MixlingError, match="max_relative_score is"):
        mine_negatives(str(chain), "sample", tmp_path / "m", max_relative_score=value)
    with pytest.raises(MixlingError, match="alpha"):
        debias(str(chain), Shift(alpha=value), ["sample"], tmp_path / "d")
    for table in (
        {"training": {"lr": value}},
        {"objective": {"weight": value}},
        {"batches": {"corpora": value}},
    ):
        with pytest.raises(MixlingError, match=next(iter(table))):
            load_config({"data": {"sources": ["sample"]}, **table})


def test_zero_is_a_value_and_not_the_default(chain, tmp_path):
    with pytest.raises(MixlingError, match=r"rank is 0\. Expected 1"):
        Lsar(rank=0)
    with pytest.raises(MixlingError, match=r"texts is 0\. Expected 1"):
        debias(str(chain), "lsar", ["sample"], tmp_path / "d", texts=0)
    for name, value in (("temperature", 0.0), ("seed", -1), ("pull", -0.5)):
        with pytest.raises(MixlingError, match=f"{name} is {value}"):
            create_method("trained", {name: value})


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_training_stops_at_the_step_and_keeps_the_last_checkpoint(
    chain, tmp_path, monkeypatch, what
):
    import importlib

    module = importlib.import_module("mixling.training.step")
    real, calls = getattr(module, "backward" if what == "loss" else "clip_gradients"), []

    def spoilt(*a, **k):
        calls.append(1)
        made = real(*a, **k)
        return float("nan") if len(calls) > 3 else made

    monkeypatch.setattr(module, "backward" if what == "loss" else "clip_gradients", spoilt)
    config = {
        "data": {"sources": ["sample"]},
        "model": {"name": str(chain)},
        "batches": {"size": 4},
        "training": {
            "steps": 5,
            "checkpoint_every": 2,
            "lr": 0.002,
            "warmup": 0,
            "schedule": "constant",
            "device": "cpu",
        },
    }
    with pytest.raises(
        MixlingError,
        match=rf"{what}.* nan at step 3, learning rate 0\.002.*checkpoint of step 2 is kept",
    ):
        train(config, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "checkpoints" / "step-00000002.pt", weights_only=True)
    assert all(torch.isfinite(x).all() for x in state["model"].values() if x.is_floating_point())
    assert not (tmp_path / "run" / "run.json").exists()
