"""Read what the files of a model hold, and check that loading left nothing to chance.

transformers fills weights that the files lack with random numbers and logs a report of them, which
`quiet.quiet_libraries` hides. This module captures the report: missing weights raise an error,
unused ones are logged. Adapters (PEFT) are merged, so that all other modules see an ordinary
encoder; some versions of peft can load an adapter that transformers could not write again.
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

# weights that an encoder has no use for (the masked-language head, the pooler), and a buffer that
# transformers computes anew
_EXPECTED_UNUSED = re.compile(r"(^|\.)(lm_head|cls|vocab_\w+|pooler|position_ids)(\.|$)")
_FORMATS = {"F32": "fp32", "F16": "fp16", "BF16": "bf16", "F64": "fp64"}
_TORCH_FORMATS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


@contextlib.contextmanager
def capture_load_report(report: list[tuple[str, str]]) -> Iterator[None]:
    """Capture the reports of transformers on the weights that it loads inside the `with` block.

    Args:
        report: A list that is extended by (weight, status); a status is "MISSING", "UNEXPECTED",
            "MISMATCH" or another word in capitals.
    """

    class Reader(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage())
            if "LOAD REPORT" in text:
                rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
                report.extend((r[0], r[1]) for r in rows if len(r) > 1 and r[1].isupper())

    log, reader = logging.getLogger("transformers"), Reader()
    log_level, handler_levels = log.level, [(h, h.level) for h in log.handlers]
    # The reader needs warnings; the other handlers go on as if the level had not changed.
    for handler, handler_level in handler_levels:
        handler.setLevel(max(handler_level, log_level))
    log.addHandler(reader)
    log.setLevel(min(log_level, logging.WARNING))
    try:
        yield
    finally:
        log.removeHandler(reader)
        log.setLevel(log_level)
        for handler, handler_level in handler_levels:
            handler.setLevel(handler_level)


def check_load_report(report: list[tuple[str, str]], name: str, pooled: bool) -> None:
    """Refuse a model whose files lack weights or hold them in another size; log unused weights.

    Args:
        report: Pairs of weight and status, as `capture_load_report` writes them.
        name: The model's name in messages.
        pooled: Whether the model uses the encoder's pooler, which then may not be missing either.

    Raises:
        MixlingError: Weights are missing or have another size than config.json says.
    """
    mismatched = [k for k, status in report if status == "MISMATCH"]
    if mismatched:
        raise MixlingError(
            f"{name}: its files hold weights of other sizes than its config.json says: "
            f"{_first_five(mismatched)}"
        )
    missing = [
        k
        for k, status in report
        if status == "MISSING" and (pooled or not re.search(r"(^|\.)pooler\.", k))
    ]
    if missing:
        raise MixlingError(
            f"{name}: its files lack weights of the encoder, which would be random: "
            f"{_first_five(missing)}. Fetch the folder again; if the model comes with code of its "
            "own, it needs --trust-remote-code"
        )
    unused = [
        k for k, status in report if status == "UNEXPECTED" and not _EXPECTED_UNUSED.search(k)
    ]
    if unused:
        logger.warning(
            "%s: its files hold weights that its encoder has no place for: %s",
            name,
            _first_five(unused),
        )


def _first_five(keys: list[str]) -> str:
    return ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")


def number_format(folder: str | Path) -> str:
    """Return the number format of the weights of a model's folder.

    Args:
        folder: The folder. Without safetensors files, its config.json tells the format.

    Returns:
        "fp32", "bf16", "fp16", several joined by "+", or "" if the format is unknown.
    """
    from safetensors import safe_open

    formats = set()
    for pattern in ("*.safetensors", "*/*.safetensors"):
        for path in Path(folder).glob(pattern):
            with safe_open(path, "pt") as tensors:
                dtypes = {tensors.get_slice(k).get_dtype() for k in tensors.keys()}  # noqa: SIM118
            formats |= {_FORMATS.get(d, d.lower()) for d in dtypes if d[0] in "BF"}
    if not formats and (config := Path(folder) / "config.json").is_file():
        content = json.loads(config.read_text())
        dtype = str(content.get("dtype") or content.get("torch_dtype") or "")
        formats = {_TORCH_FORMATS.get(dtype, dtype)} - {""}
    return "+".join(sorted(formats))


def merge_adapters(encoder: Any, name: str) -> None:
    """Merge the adapters (PEFT) that were loaded with an encoder into its weights, in place.

    Args:
        encoder: A transformers model. Without adapters it stays as it is.
        name: The model's name in messages.

    Raises:
        MixlingError: An adapter is of a type that cannot be merged.
    """
    if not getattr(encoder, "_hf_peft_config_loaded", False):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper
    from peft.utils.other import AuxiliaryTrainingWrapper

    for path, module in list(encoder.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True)
            merged: Any = module.get_base_layer()
        elif isinstance(module, ModulesToSaveWrapper):
            merged = module.modules_to_save[module.active_adapters[0]]
        elif isinstance(module, AuxiliaryTrainingWrapper):
            raise MixlingError(
                f"{name}: its adapter trains {path} in a way ({type(module).__name__}) that cannot "
                "be merged here; merge it with peft (merge_and_unload) and save the whole model"
            )
        else:
            continue
        parent, _, leaf = path.rpartition(".")
        setattr(encoder.get_submodule(parent), leaf, merged)
    encoder._hf_peft_config_loaded = False
    del encoder.peft_config
    # Otherwise save_pretrained writes the adapter's names of the weights.
    encoder._weight_conversions = None
    encoder.requires_grad_(True)


def learned_positions(encoder: torch.nn.Module) -> int | None:
    """Return how many tokens an encoder has learned positions for.

    The positions of RoBERTa and its relatives begin behind that of the padding token: of 514
    positions they use 512.

    Args:
        encoder: A transformers model.

    Returns:
        The number of tokens, or None if the encoder learns no positions.
    """
    n_positions = []
    for path, module in encoder.named_modules():
        table = getattr(module, "weight", None)
        if (
            path.rpartition(".")[2] in ("position_embeddings", "embed_positions", "wpe")
            and table is not None
            and table.ndim == 2
        ):
            padding = getattr(module, "padding_idx", None)
            n_positions.append(len(table) - (0 if padding is None else padding + 1))
    return min(n_positions, default=None)
