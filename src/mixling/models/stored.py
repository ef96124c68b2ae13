"""What the files of a model hold, and what was left to chance when they were loaded.

transformers fills weights that the files lack with random numbers and says so in a report that `quiet.hush` turns off. Here the
report is read: missing weights are an error, left-over ones a line. Adapters (PEFT) are merged, so that all that follows sees an
ordinary encoder; transformers could not write them with every version of peft that can load them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mixling.errors import MixlingError

logger = logging.getLogger(__name__)

# the head for masked words and the pooler, which an encoder leaves out, and what transformers computes anew
NO_LOSS = re.compile(r"(^|\.)(lm_head|cls|vocab_\w+|pooler|position_ids)(\.|$)")
_FORMATS = {"F32": "fp32", "F16": "fp16", "BF16": "bf16", "F64": "fp64"}


@contextlib.contextmanager
def reports(found: list[tuple[str, str]]) -> Iterator[None]:
    """Add (weight, "MISSING" | "UNEXPECTED" | "MISMATCH" …) of all that transformers loads inside to `found`."""

    class Reader(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage())
            if "LOAD REPORT" in text:
                cells = [[c.strip() for c in line.split("|")] for line in text.splitlines()]
                found.extend((c[0], c[1]) for c in cells if len(c) > 1 and c[1].isupper())

    log, reader = logging.getLogger("transformers"), Reader()
    level, others = log.level, [(h, h.level) for h in log.handlers]
    for handler, own in others:
        handler.setLevel(max(own, level))
    log.addHandler(reader)
    log.setLevel(min(level, logging.WARNING))
    try:
        yield
    finally:
        log.removeHandler(reader)
        log.setLevel(level)
        for handler, own in others:
            handler.setLevel(own)


def complete(report: list[tuple[str, str]], name: str, pooled: bool) -> None:
    """Refuse a model whose files lack weights or hold them in another size, and say which of theirs it has no place for.

    pooled: the encoder's pooler is used, so it may not be missing either.
    """
    other = [k for k, status in report if status == "MISMATCH"]
    if other:
        raise MixlingError(
            f"{name}: its files hold weights of other sizes than its config.json says: {_few(other)}"
        )
    missing = [
        k
        for k, status in report
        if status == "MISSING" and (pooled or not re.search(r"(^|\.)pooler\.", k))
    ]
    if missing:
        raise MixlingError(
            f"{name}: its files lack weights of the encoder, which would be random: {_few(missing)}. Fetch the folder again; "
            "if the model comes with code of its own, it needs --trust-remote-code"
        )
    unused = [k for k, status in report if status == "UNEXPECTED" and not NO_LOSS.search(k)]
    if unused:
        logger.warning(
            "%s: its files hold weights that its encoder has no place for: %s", name, _few(unused)
        )


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")


def number_format(folder: str | Path) -> str:
    """The number format of a folder's weights: "fp32", "bf16", "fp16" or several joined by "+"; "" if it cannot be told."""
    from safetensors import safe_open

    found = set()
    for path in (
        p for pattern in ("*.safetensors", "*/*.safetensors") for p in Path(folder).glob(pattern)
    ):
        with safe_open(path, "pt") as tensors:
            kinds = {tensors.get_slice(k).get_dtype() for k in tensors.keys()}  # noqa: SIM118
        found |= {_FORMATS.get(k, k.lower()) for k in kinds if k[0] in "BF"}
    if not found and (config := Path(folder) / "config.json").is_file():
        content = json.loads(config.read_text())
        kind = str(content.get("dtype") or content.get("torch_dtype") or "")
        found = {{"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}.get(kind, kind)} - {""}
    return "+".join(sorted(found))


def merge_adapters(encoder: Any, name: str) -> None:
    """Put the adapters (PEFT) that were loaded with an encoder into its weights, in place."""
    if not getattr(encoder, "_hf_peft_config_loaded", False):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper
    from peft.utils.other import AuxiliaryTrainingWrapper

    for path, module in list(encoder.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True)
            whole: Any = module.get_base_layer()
        elif isinstance(module, ModulesToSaveWrapper):
            whole = module.modules_to_save[module.active_adapters[0]]
        elif isinstance(module, AuxiliaryTrainingWrapper):
            raise MixlingError(
                f"{name}: its adapter trains {path} in a way ({type(module).__name__}) that cannot be merged here; merge it with peft "
                "(merge_and_unload) and save the whole model"
            )
        else:
            continue
        parent, _, leaf = path.rpartition(".")
        setattr(encoder.get_submodule(parent), leaf, whole)
    encoder._hf_peft_config_loaded = False
    del encoder.peft_config
    encoder._weight_conversions = (
        None  # else save_pretrained writes the adapter's names for weights
    )
    encoder.requires_grad_(True)


def positions(encoder: torch.nn.Module) -> int | None:
    """How many tokens the encoder has learnt positions for, None if it has learnt none. RoBERTa's relatives begin behind the padding
    token's position: of 514 they use 512."""
    found = []
    for path, module in encoder.named_modules():
        table = getattr(module, "weight", None)
        if (
            path.rpartition(".")[2] in ("position_embeddings", "embed_positions", "wpe")
            and table is not None
            and table.ndim == 2
        ):
            padding = getattr(module, "padding_idx", None)
            found.append(len(table) - (0 if padding is None else padding + 1))
    return min(found, default=None)
