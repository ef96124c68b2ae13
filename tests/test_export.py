"""An exported model returns the same vectors as the retriever."""

import json

import numpy as np
import pytest

from mixling.debiasing.debias import debias
from mixling.errors import MixlingError
from mixling.models.onnx import OUTPUTS, TEST_TEXTS, _difference, export_onnx
from mixling.models.retriever import Retriever

TEXTS = ["daraja", "a bridge over the river, built long ago. " * 3, "мост", "جسر", "桥"]


@pytest.fixture(scope="module")
def fair(chain, tmp_path_factory):
    """The tiny model with a transform."""
    out = tmp_path_factory.mktemp("fair") / "model"
    debias(str(chain), "lsar", ["sample"], out)
    return out


def by_hand(folder, texts, prompt):
    """Vectors with the tokenizers and onnxruntime packages alone."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer.enable_truncation(config["model_max_length"])
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("<pad>"), pad_token="<pad>")
    encodings = tokenizer.encode_batch([prompt + t for t in texts])
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"))
    inputs = {
        "input_ids": np.array([e.ids for e in encodings], np.int64),
        "attention_mask": np.array([e.attention_mask for e in encodings], np.int64),
    }
    return session.run(list(OUTPUTS), inputs)


@pytest.mark.slow
def test_onnxruntime_alone_gives_the_same_vectors(fair, tmp_path, run):
    status, output, errors = run("export", fair, "--out", tmp_path / "out", "--openvino")
    assert status == 0, errors
    assert output.count("differ by") == 2 and "arning" not in errors and "torchvision" not in errors
    assert (tmp_path / "out" / "openvino" / "openvino_model.xml").exists()
    states, vectors = by_hand(tmp_path / "out", TEXTS, "query: ")
    expected = Retriever(str(fair)).encode(TEXTS, "query")
    assert np.abs(vectors - expected).max() < 1e-4 and np.allclose(
        np.linalg.norm(vectors, axis=1), 1, atol=1e-5
    )
    assert states.shape[0] == len(TEXTS) and states.shape[2] == 32
    again = Retriever(str(tmp_path / "out")).encode(TEXTS, "passage")
    assert np.allclose(again, Retriever(str(fair)).encode(TEXTS, "passage"), atol=1e-6)
    single = by_hand(tmp_path / "out", TEXTS[:1], "passage: ")[1]
    assert np.abs(single - again[:1]).max() < 1e-4


def test_it_is_compared_in_fp32_where_bf16_is_faster(fair, monkeypatch):
    monkeypatch.setattr("mixling.models.precision.has_fast_bf16", lambda: True)
    retriever = Retriever(str(fair))
    exact = retriever.encode(TEST_TEXTS, "query", precision="fp32")
    assert np.abs(retriever.encode(TEST_TEXTS, "query") - exact).max() > 1e-5  # bf16 indeed
    assert _difference(retriever, lambda _: exact) == 0


def test_what_cannot_be_exported_is_refused(chain, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(MixlingError, match="exists already"):
        export_onnx(str(chain), tmp_path / "full")
    debias(str(chain), "centering", ["sample"], tmp_path / "centered")
    with pytest.raises(MixlingError, match="language"):
        export_onnx(str(tmp_path / "centered"), tmp_path / "out")
