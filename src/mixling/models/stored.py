"""Reads the files of a model, and checks that loading left no weight random.

transformers fills weights that the files lack with random numbers and logs a report of them, which
`quiet.quiet_libraries` hides. This module captures the report: missing weights, and weights of the
encoder that found no place in it, raise an error; other unused ones are logged. A tokenizer that
transformers made of nothing raises one too. Adapters (PEFT) are merged, so that all modules see an
ordinary encoder; some versions of peft can load an adapter that transformers could not write again.
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

# Weights that no vector of a text depends on: heads for other tasks, and buffers that transformers
# computes anew.
_UNUSED_HEADS = re.compile(
    r"^(\w+\.){0,2}(\w*head|cls|pooler|vocab_\w+|score|qa_outputs|\w*predictions?"
    r"|\w*classifier|sparse_linear|colbert_linear)(\.|$)|^decoder\.(weight|bias)$"
)
_BUFFERS = re.compile(
    r"(^|\.)(position_ids|token_type_ids|\w*inv_freq|masked_bias|(attn|attention)\.bias)$"
)
# Weights inside a text encoder: its embeddings, numbered layers and norms. transformers writes
# several numbers as "{0, 1}" or "{0...11}".
_ENCODER_WEIGHTS = re.compile(
    r"(^|\.)(encoder|\w*embeddings\w*|((\w+_)?(layers?|groups?|blocks?)|h|attentions|ffns)"
    r"\.(\d+|\{[^}]*\})|(\w+_)?(norm|layer_?norm|ln)(_f)?)\.",
    re.IGNORECASE,
)
# adapters in folders of a published model, by the type of its configuration
_PUBLISHED_ADAPTERS = {"jina_embeddings_v3": ("retrieval_query", "retrieval_passage")}
# parts of a larger model that have layers of their own, which no text goes through
_OTHER_PARTS = re.compile(r"(^|\.)(decoder|mtp|visual|(vision|image|audio|multi_modal)\w*)\.")
# Letters of many scripts, digits and marks: a tokenizer with a vocabulary knows some of them.
_MANY_LETTERS = "a e o . 1 2 а и о α ا ل א ש अ क த న ก ა հ ሀ の ン 的 一 한 이"
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
    disabled = log.manager.disable  # by `logging.disable`
    # The reader needs warnings; the other handlers go on as if the level had not changed.
    for handler, handler_level in handler_levels:
        handler.setLevel(max(handler_level, log_level, disabled + 1))
    log.addHandler(reader)
    log.setLevel(min(log_level, logging.WARNING))
    logging.disable(min(disabled, logging.INFO))
    try:
        yield
    finally:
        logging.disable(disabled)
        log.removeHandler(reader)
        log.setLevel(log_level)
        for handler, handler_level in handler_levels:
            handler.setLevel(handler_level)


def check_load_report(report: list[tuple[str, str]], name: str, pooled: bool) -> None:
    """Refuse a model whose vectors are not those of its weights; log weights that are unused.

    A weight that the files lack, or hold in another size, is random. A weight inside the encoder's
    embeddings or layers that finds no place there changes the vectors of the model that it was
    trained in: such files need another class than transformers has for them. Both are refused.
    Heads for other tasks, buffers, and the layers of a decoder or an image encoder change no vector
    of a text and are ignored. The rest is logged.

    Args:
        report: Pairs of weight and status, as `capture_load_report` writes them.
        name: The model's name in messages.
        pooled: Whether the model uses the encoder's pooler, which then may not be missing either.

    Raises:
        MixlingError: Weights are missing, have another size than config.json says, or have no
            place in the encoder that they belong to.
    """
    keys: dict[str, list[str]] = {}
    for key, status in report:
        keys.setdefault(status, []).append(key)
    missing = [k for k in keys.get("MISSING", []) if pooled or not re.search(r"(^|\.)pooler\.", k)]
    mismatched = [*keys.get("MISMATCH", []), *keys.get("CONVERSION", [])]
    unexpected = [
        k
        for k in keys.get("UNEXPECTED", [])
        if not _UNUSED_HEADS.search(k) and not _BUFFERS.search(k)
    ]
    misplaced = [k for k in unexpected if _ENCODER_WEIGHTS.search(k) and not _OTHER_PARTS.search(k)]
    problems = {
        "missing, and so random": missing,
        "in another size than config.json says": mismatched,
        "without a place in the encoder": misplaced,
    }
    if any(problems.values()):
        listed = "; ".join(f"{k}: {_first_five(v)}" for k, v in problems.items() if v)
        raise MixlingError(
            f"{name}: its files do not hold the weights of the encoder that its config.json "
            f"describes, so its vectors would be wrong ({listed}). Fetch the folder again. If "
            "the model comes with code of its own, use --trust-remote-code. If config.json "
            "leaves out layers on purpose, load the encoder with transformers, save it with "
            "save_pretrained, and use that folder."
        )
    unused = [k for k in unexpected if not _OTHER_PARTS.search(k)]
    if unused:
        logger.warning(
            "%s: its files hold weights that do not belong to its encoder: %s",
            name,
            _first_five(unused),
        )


def check_tokenizer(tokenizer: Any, encoder: Any, name: str) -> None:
    """Refuse a tokenizer without a vocabulary, or with a larger one than the encoder embeds.

    Where a folder lacks tokenizer.json, transformers makes a tokenizer of special tokens alone: all
    words are unknown, and texts of equal length have equal vectors.

    Args:
        tokenizer: A Hugging Face tokenizer.
        encoder: The transformers model that takes its tokens.
        name: The model's name in messages.

    Raises:
        MixlingError: The tokenizer does not fit.
    """
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(_MANY_LETTERS)["input_ids"])
    special = set(tokenizer.all_special_tokens)
    # "▁" and "Ġ" stand for a space.
    if all(token in special or not token.strip("▁Ġ ") for token in tokens):
        raise MixlingError(
            f"{name}: its tokenizer ({type(tokenizer).__name__}, {len(tokenizer)} tokens) knows "
            "no letter of any script, so all words would be the same to the encoder. The folder "
            "lacks tokenizer.json or the vocabulary. Fetch the folder again."
        )
    rows = getattr(encoder.get_input_embeddings(), "num_embeddings", None)
    if rows is not None and tokenizer.vocab_size > rows:
        raise MixlingError(
            f"{name}: its tokenizer has a vocabulary of {tokenizer.vocab_size:,} tokens, but its "
            f"encoder has vectors for {rows:,}, so they belong to different models. Fetch the "
            "folder again."
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


def find_adapters(folder: str, model_type: str | None) -> list[str]:
    """Return the adapters that lie in folders beside a model, and which loading it leaves out.

    Args:
        folder: The model's folder, or its name where its files are elsewhere.
        model_type: For a model of the hub, the type of its configuration. The hub's cache has a
            part of the files, so what is published with adapters is known by its type.
    """
    found = sorted(x.parent.name for x in Path(folder).glob("*/adapter_config.json"))
    return found or list(_PUBLISHED_ADAPTERS.get(model_type or "", ()))


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
                f"{name}: its adapter trains {path} in a way ({type(module).__name__}) that "
                "Mixling cannot merge. Merge it with peft (merge_and_unload), and save the "
                "whole model."
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
