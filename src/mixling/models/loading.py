"""Load the chain of modules of a model: a sentence-transformers folder, or a plain encoder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mixling.errors import MixlingError, choose
from mixling.models import chain, stored, trust
from mixling.models.conventions import KnownUse
from mixling.models.hub_cache import (
    CONFIGURED_MODULES,
    MODULES,
    PROMPTS,
    TRANSFORMER_CONFIGS,
    gate_error,
    in_hub_cache,
)
from mixling.models.prompts import ROLES, Role, prompt_name, unknown_names
from mixling.models.settings import DEFAULT_SOURCE, FILES, OPTION, Setting

if TYPE_CHECKING:
    from mixling.models.encoder import ExternalEncoder
    from mixling.models.retriever import Retriever

logger = logging.getLogger(__name__)

POOLINGS = ("mean", "cls", "max", "lasttoken")


@dataclass(frozen=True)
class LoadedChain:
    """A model as it was loaded.

    Args:
        model: The sentence-transformers model in fp32.
        pooling: Its pooling.
        similarity: The similarity that it was made for.
        prompts: The prompts of its files by name.
    """

    model: Any
    pooling: Setting
    similarity: Setting
    prompts: dict[str, str]


def load_chain(
    folder: str,
    name: str,
    known: KnownUse,
    *,
    device: str | None,
    pooling: str | None,
    similarity: str | None,
    trust_remote_code: bool,
) -> LoadedChain:
    """Load a model and refuse one that Mixling cannot call as sentence-transformers does.

    Args:
        folder: A folder or hub name that sentence-transformers can load.
        name: The model's name in messages.
        known: How a plain encoder of this name is meant to be used.
        device: Where to compute. Default: a GPU if there is one.
        pooling: Pooling of the encoder, in place of the model's chain. Default: the model's.
        similarity: The similarity that the user asks for.
        trust_remote_code: Run Python code that the model's files bring.

    Returns:
        The model, its pooling, its similarity and the prompts of its files.

    Raises:
        MixlingError: The model cannot be loaded or used.
    """
    report: list[tuple[str, str]] = []
    source = known.source or f"{DEFAULT_SOURCE}; the files name none"
    pooling_setting = Setting(known.conventions.pooling, source)
    similarity_setting = Setting(known.conventions.similarity, source)
    try:
        trust.check_model_files(folder, name, trust_remote_code)
        with stored.capture_load_report(report):
            is_chain = _is_chain(folder)
            if pooling is None and is_chain:
                _check_module_files(folder, name)
                chain.check_model_type(folder, name)
                model = trust.load_with_modules(folder, device, trust_remote_code)
                pooling_setting = Setting(_pooling(model), FILES)
            else:
                if pooling is not None:
                    pooling_setting = Setting(choose(pooling, POOLINGS, "pooling"), OPTION)
                model = _load_plain(folder, pooling_setting.value, device, trust_remote_code)
                if is_chain:
                    _take_settings(folder, model)
        if is_chain:
            stated = _sentence_transformers_config(folder).get("similarity_fn_name")
            similarity_setting = Setting(
                str(model.similarity_fn_name), FILES if stated else DEFAULT_SOURCE
            )
        chain.check_modules(model, name, similarity)
        _check_weights(report, folder, name, model, trust_remote_code)
        if not is_chain and pooling is None and not known.source:
            _check_not_causal(model, name)
        stored.merge_adapters(model[0].auto_model, name)
        chain.append_truncation(model)
        model.float()
    except MixlingError:
        raise
    except Exception as error:
        if (gated := gate_error(error, name)) is not None:
            raise gated from None
        stored.check_load_report(report, name, pooled=False)
        raise trust.load_error(
            error,
            folder,
            name,
            trust_remote_code,
            "the model cannot be loaded",
            "A folder needs config.json, weights and a tokenizer, as save_pretrained or "
            "sentence-transformers write them",
        ) from None
    # what was fetched just now lies in the cache: asked by name, the hub answers for each file
    local = folder if Path(folder).is_dir() else in_hub_cache(folder) or folder
    if not trust_remote_code and (code := trust.find_code(local)):
        logger.warning(
            "%s: the model comes with code of its own, which is not run: %s. %s of transformers "
            "takes its place, and has all of its weights",
            name,
            "; ".join(code),
            type(model[0].auto_model).__name__,
        )
    encoder: Any = model[0].auto_model
    published = None if Path(name).is_dir() else encoder.config.model_type
    if idle := stored.find_adapters(local, published):
        logger.warning(
            "%s: the model has adapters that are not used (%s), so these are vectors of the model "
            "without them. Give a folder into which one is merged, or a Python function that loads "
            "them",
            name,
            ", ".join(idle),
        )
    prompts = {k: v for k, v in (model.prompts or {}).items() if v}
    return LoadedChain(model, pooling_setting, similarity_setting, prompts)


def append_truncation(model: Any, size: int, name: str) -> None:
    """Cut a model's vectors to their first numbers, in place (Matryoshka, arXiv:2205.13147).

    Args:
        model: A SentenceTransformer.
        size: How many numbers are left.
        name: The model's name in messages.

    Raises:
        MixlingError: The vectors do not have so many numbers.
    """
    full_size = int(model.get_embedding_dimension() or 0)
    if not 1 <= size <= full_size:
        raise MixlingError(
            f"{name}: truncate_dim is {size}. Expected a number from 1 to {full_size}, the size "
            "of its vectors."
        )
    model.truncate_dim = size
    chain.append_truncation(model)


def log_settings(encoder: Retriever | ExternalEncoder) -> None:
    """Log how a model is used: the line that `mixling doctor MODEL` prints."""
    logger.info("%s: %s", encoder.name, encoder.settings.line())


def log_surprises(retriever: Retriever) -> None:
    """Log settings that a user may not expect: half precision, and prompts that no role uses.

    Args:
        retriever: A loaded retriever.
    """
    if retriever.stored not in ("", "fp32"):
        logger.info(
            "%s: the weights are stored in %s and computed in fp32",
            retriever.name,
            retriever.stored,
        )
    unused = unknown_names(retriever.prompts)
    without = [role for role in ROLES if not retriever.prompt(role)]
    if unused and without:
        logger.warning(
            "%s: texts as %s get no prompt, because the model has prompts of other names only, "
            "which are not used: %s",
            retriever.name,
            " and ".join(without),
            ", ".join(unused),
        )
    file_prompts = {k: v for k, v in (retriever.model.prompts or {}).items() if v}
    wanted_names: dict[Role, str] = {"query": "query", "passage": "document"}
    for role, wanted in wanted_names.items():
        named = prompt_name(file_prompts, role)
        if named not in (None, wanted) and retriever.prompt(role) == file_prompts.get(named):
            logger.warning(
                "%s: Mixling puts the prompt '%s' before texts as %s. encode_%s of "
                "sentence-transformers looks for '%s', which the model lacks, and so puts no "
                "prompt",
                retriever.name,
                named,
                role,
                wanted,
                wanted,
            )


def _check_weights(
    report: list[tuple[str, str]], folder: str, name: str, model: Any, trusted: bool
) -> None:
    """Refuse a model whose files lack weights, and name its code where that is the reason.

    transformers chooses a class of its own for an architecture that it knows, also where the files
    bring another class for it.
    """
    pooled = model[0].module_output_name == "sentence_embedding"
    try:
        stored.check_load_report(report, name, pooled)
    except MixlingError as error:
        code = [] if trusted else trust.find_code(folder)
        if not code:
            raise
        taken = type(model[0].auto_model).__name__
        raise MixlingError(
            f"{error} The model comes with code: {'; '.join(code)}. Without that code, "
            f"transformers uses its own {taken}."
        ) from None


def _is_chain(folder: str) -> bool:
    if Path(folder).is_dir():
        return (Path(folder) / MODULES).exists()
    from huggingface_hub import file_exists

    return file_exists(folder, MODULES)


def _check_not_causal(model: Any, name: str) -> None:
    """Refuse a plain encoder of which each token sees the tokens before it alone.

    The mean of such tokens is no vector that anybody has trained: embedding models of this kind
    take the last token, and most put an instruction before queries.
    """
    ids = torch.tensor([model.tokenizer("a b c d")["input_ids"]], device=model.device)
    if ids.shape[1] < 2:
        return
    changed = ids.clone()
    changed[0, -1] = ids[0, 0]
    model.eval()
    try:
        with torch.inference_mode():
            first, other = (
                model[0].auto_model(input_ids=x).last_hidden_state[0, 0] for x in (ids, changed)
            )
    except Exception:  # a model that cannot encode a text is reported when its vectors are checked
        return
    if not torch.equal(ids, changed) and torch.equal(first, other):
        raise MixlingError(
            f"{name}: its files do not say how the model is pooled, and each of its tokens sees "
            "only the tokens before it, so their mean is not what the model was trained with. "
            "Fetch all files of the model (modules.json, 1_Pooling), or name the pooling: "
            '--pooling lasttoken (in Python pooling="lasttoken").'
        )


def _check_module_files(folder: str, name: str) -> None:
    """Refuse a folder that lacks the settings of a module which its modules.json names."""
    if not Path(folder).is_dir():
        return
    for module in trust.module_entries(folder):
        kind = str(module.get("type")).rpartition(".")[2]
        config = Path(folder) / str(module.get("path") or "") / "config.json"
        if kind in CONFIGURED_MODULES and not config.is_file():
            raise MixlingError(
                f"{name}: its modules.json names a {kind}, but the settings of this module are "
                f"missing: {config}. The folder may hold the encoder only: fetch all files (hf "
                "download)."
            )


def _pooling(model: Any) -> str:
    """Return the pooling of a chain, several joined by "+"; "none" if no module pools."""
    modes = [getattr(module, "pooling_mode", None) for module in model]
    names = [[x] if isinstance(x, str) else list(x) for x in modes if x]
    return "+".join(x for mode in names for x in mode) or "none"


def _sentence_transformers_config(folder: str) -> dict[str, Any]:
    """Return the content of config_sentence_transformers.json, or an empty dictionary."""
    config = trust.read_json(folder, PROMPTS)
    return config if isinstance(config, dict) else {}


def _take_settings(folder: str, model: Any) -> None:
    """Give an encoder the prompts, similarity and length of its files, where they name a chain.

    Args:
        folder: A folder or hub name.
        model: The encoder with a pooling that the user has named.
    """
    config = _sentence_transformers_config(folder)
    if isinstance(config.get("prompts"), dict):
        model.prompts = {**model.prompts, **config["prompts"]}
    if config.get("similarity_fn_name"):
        model.similarity_fn_name = config["similarity_fn_name"]
    for file in TRANSFORMER_CONFIGS:
        first = trust.read_json(folder, file)
        if isinstance(first, dict):
            if isinstance(first.get("max_seq_length"), int):
                model.max_seq_length = first["max_seq_length"]
            return


def _load_plain(folder: str, pooling: str, device: str | None, trusted: bool) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    passed: dict[str, Any] = {k: {"trust_remote_code": trusted} for k in trust.TRUST_ARGUMENTS}
    passed["model_kwargs"]["dtype"] = torch.float32
    transformer = Transformer(folder, **passed)
    transformer.modality_config.pop(
        "message", None
    )  # texts go in as they are, without a chat template
    dimension = int(transformer.get_embedding_dimension())
    return SentenceTransformer(modules=[transformer, Pooling(dimension, pooling)], device=device)
