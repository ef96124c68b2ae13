"""Export a retriever for other servers: ONNX in a sentence-transformers folder, and OpenVINO.

DIR/                   an ordinary sentence-transformers folder (tokenizer, pooling, prompts,
                       transform)
DIR/onnx/model.onnx    inputs: input_ids, attention_mask
                       outputs: last_hidden_state, for servers that pool themselves
                       (text-embeddings-inference, sentence-transformers); sentence_embedding,
                       pooled, transformed and normalized as the model does it (Vespa, OpenSearch,
                       onnxruntime)
DIR/openvino/          the same as OpenVINO's IR, on request
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixling.disk import new_folder
from mixling.errors import MixlingError, not_installed
from mixling.models.retriever import Retriever
from mixling.models.transform_module import TransformModule

OUTPUTS = ("last_hidden_state", "sentence_embedding")
# texts that the exported model must encode as the retriever does: several scripts, short and long
TEST_TEXTS = (
    "a",
    "Ni nani aliyejenga daraja?",
    "Кто построил мост?",
    "من بنى الجسر؟",
    "谁建了这座桥？ " * 12,
    "สะพานนี้ยาวเท่าไร",
)
TOLERANCE = 1e-4  # largest difference allowed in a number of a vector


class _ExportedChain(torch.nn.Module):
    """The chain of a retriever as a function of tensors.

    Args:
        retriever: The retriever.
    """

    def __init__(self, retriever: Retriever):
        super().__init__()
        self.encoder = retriever.encoder
        self.rest = torch.nn.ModuleList(list(retriever.model)[1:])

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a padded batch of texts.

        Args:
            input_ids: int64 `[n, length]`.
            attention_mask: int64 `[n, length]`, 1 for tokens and 0 for padding.

        Returns:
            Token states, float32 `[n, length, hidden]`, and vectors, float32 `[n, dim]`.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        features: dict[str, Any] = {"token_embeddings": states, "attention_mask": attention_mask}
        for module in self.rest:
            features = module(features)
        return states, features["sentence_embedding"]


def export_onnx(
    model: str | Retriever,
    out: str | Path,
    *,
    openvino: bool = False,
    trust_remote_code: bool = False,
) -> dict[str, float]:
    """Write a model as ONNX in fp32, and compare what onnxruntime returns.

    Args:
        model: A model folder, a hub name, or a loaded retriever.
        out: The folder to write; it must be empty or absent.
        openvino: Whether to write OpenVINO's form as well.
        trust_remote_code: Run Python code that the model's files bring (see `Retriever`).

    Returns:
        The largest difference of a number of a vector, for "onnx" and, if written, "openvino".

    Raises:
        MixlingError: The folder is not empty, a package is missing, the model needs a text's
            language, torch cannot export its encoder, or a difference exceeds 1e-4.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise MixlingError(
            f"{out}: the folder exists already. Choose another folder, or remove it."
        )
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise not_installed(str(error.name), "export") from None
    retriever = (
        model
        if isinstance(model, Retriever)
        else Retriever(model, device="cpu", trust_remote_code=trust_remote_code)
    )
    if any(isinstance(module, TransformModule) for module in retriever.model):
        raise MixlingError(
            f"{retriever.name}: its transform needs the language or the role of each text, which "
            "an ONNX server does not know. Export a model with one transform for all texts "
            "(`mixling debias -m lsar` or `-m trained`)."
        )
    card = Path(retriever.name) / "README.md"
    with new_folder(out) as folder:
        text = card.read_text(encoding="utf-8") if card.is_file() else None
        retriever.save(folder, text, retriever.origin or None)
        differences = _export_into(retriever, folder, openvino)
    wrong = {k: v for k, v in differences.items() if not v <= TOLERANCE}
    if wrong:
        raise MixlingError(
            f"{out}: the vectors of the exported model differ from those of the model by more "
            f"than {TOLERANCE:g}: {wrong}. Do not use this folder; it is kept for inspection."
        )
    return differences


def _export_into(retriever: Retriever, folder: Path, openvino: bool) -> dict[str, float]:
    """Write the formats into a folder, and return the largest difference of each."""
    path = folder / "onnx" / "model.onnx"
    path.parent.mkdir()
    ids = torch.tensor([[5, 6, 7, 8], [5, 6, retriever.pad, retriever.pad]])
    texts, length = (
        torch.export.Dim("texts", min=1),
        torch.export.Dim("length", min=1, max=retriever.max_length),
    )
    inputs = (ids, (ids != retriever.pad).long())
    shapes = {0: texts, 1: length}

    def write() -> None:
        torch.onnx.export(
            _ExportedChain(retriever).eval(),
            inputs,
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=list(OUTPUTS),
            dynamic_shapes=(shapes, shapes),
            dynamo=True,
            external_data=False,
            verbose=False,
        )

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns that torchvision is missing
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "# The axis name", UserWarning
        )  # both inputs share their axes
        try:
            write()
        except torch.onnx.OnnxExporterError:
            # torch cannot export the fused attention of T5, whose attention has a bias.
            try:
                with _unfused_attention(retriever.encoder):
                    write()
            except Exception as error:
                reason = (str(error.__cause__ or error).strip().splitlines() or [""])[0]
                raise MixlingError(
                    f"{retriever.name}: torch cannot export its encoder "
                    f"({type(retriever.encoder).__name__}) to ONNX ({type(error).__name__}: "
                    f"{reason}). Serve the model with `mixling serve` or sentence-transformers."
                ) from None
    differences = {"onnx": _difference(retriever, _with_onnxruntime(path))}
    if openvino:
        differences["openvino"] = _difference(
            retriever, _with_openvino(path, folder / "openvino" / "openvino_model.xml")
        )
    return differences


@contextlib.contextmanager
def _unfused_attention(encoder: Any) -> Iterator[None]:
    """Let an encoder compute attention by matrix products inside the `with` block."""
    implementation = encoder.config._attn_implementation
    encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        encoder.set_attn_implementation(implementation)


def _inputs(retriever: Retriever) -> dict[str, np.ndarray]:
    """Return the test texts as a server passes them: padded at the side the tokenizer names."""
    tokens = retriever.tokenize(TEST_TEXTS, "query")
    longest = max(map(len, tokens))
    ids = np.full((len(tokens), longest), retriever.pad, np.int64)
    mask = np.zeros_like(ids)
    for i, text in enumerate(tokens):
        left = longest - len(text) if retriever.tokenizer.padding_side == "left" else 0
        ids[i, left : left + len(text)] = text
        mask[i, left : left + len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _difference(retriever: Retriever, run: Callable[[dict[str, np.ndarray]], Any]) -> float:
    """Return the largest difference of a number between the retriever and an exported model."""
    expected = retriever.encode(TEST_TEXTS, "query", precision="fp32")  # as what was exported
    return float(np.abs(run(_inputs(retriever)) - expected).max())


def _with_onnxruntime(path: Path) -> Callable[[dict[str, np.ndarray]], Any]:
    """Load the exported model; return the function that computes its vectors."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: session.run([OUTPUTS[1]], inputs)[0]


def _with_openvino(path: Path, out: Path) -> Callable[[dict[str, np.ndarray]], Any]:
    """Convert the exported model and load it; return the function that computes its vectors."""
    try:
        import openvino
    except ImportError:
        raise not_installed("openvino", "openvino") from None
    converted = openvino.convert_model(str(path))
    out.parent.mkdir()
    openvino.save_model(converted, str(out), compress_to_fp16=False)
    compiled = openvino.Core().compile_model(str(out), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: compiled(inputs)[OUTPUTS[1]]
