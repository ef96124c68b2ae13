"""Load the chain of modules of a model: a sentence-transformers folder, or a plain encoder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mixling.errors import MixlingError, choose
from mixling.models import chain, stored, trust
from mixling.models.weights import Conventions

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

logger = logging.getLogger(__name__)

POOLINGS = ("mean", "cls", "max", "lasttoken")
# names of the prompt of a passage; the first that the model has is used
PASSAGE_PROMPTS = ("document", "passage", "corpus")
ROLES = ("query", *PASSAGE_PROMPTS)


def load_chain(
    folder: str,
    name: str,
    conventions: Conventions,
    *,
    device: str | None,
    pooling: str | None,
    similarity: str | None,
    trust_remote_code: bool,
) -> tuple[Any, str]:
    """Load a model and refuse one that Mixling cannot call as sentence-transformers does.

    Args:
        folder: A folder or hub name that sentence-transformers can load.
        name: The model's name in messages.
        conventions: How a plain encoder of this name is meant to be used.
        device: Where to compute. Default: a GPU if there is one.
        pooling: Pooling of the encoder, in place of the model's chain. Default: the model's.
        similarity: The similarity that the user asks for.
        trust_remote_code: Run Python code that the model's files bring.

    Returns:
        The sentence-transformers model in fp32, and its similarity.

    Raises:
        MixlingError: The model cannot be loaded or used.
    """
    report: list[tuple[str, str]] = []
    try:
        trust.check_model_files(folder, name, trust_remote_code)
        with stored.capture_load_report(report):
            if pooling is None and _is_chain(folder):
                chain.check_model_type(folder, name)
                model = trust.load_with_modules(folder, device, trust_remote_code)
                default_similarity = str(model.similarity_fn_name)
            else:
                pooling = choose(pooling or conventions.pooling, POOLINGS, "pooling")
                model = _load_plain(folder, pooling, device, trust_remote_code)
                default_similarity = conventions.similarity
        chain.check_modules(model, name, similarity)
        stored.check_load_report(report, name, model[0].module_output_name == "sentence_embedding")
        stored.merge_adapters(model[0].auto_model, name)
        chain.append_truncation(model)
        model.float()
    except MixlingError:
        raise
    except Exception as error:
        stored.check_load_report(report, name, pooled=True)
        raise trust.load_error(
            error,
            folder,
            name,
            trust_remote_code,
            "not a model that can be loaded",
            "a folder needs config.json, weights and a tokenizer, as save_pretrained or "
            "sentence-transformers write them",
        ) from None
    return model, default_similarity


def log_surprises(retriever: Retriever) -> None:
    """Log what a user would not expect: half precision, and prompts that no role uses.

    Args:
        retriever: A loaded retriever.
    """
    if retriever.stored not in ("", "fp32"):
        logger.info("%s: stored in %s, computed in fp32", retriever.name, retriever.stored)
    unused = sorted(k for k, v in retriever.prompts.items() if v and k not in ROLES)
    without = [role for role in ("query", "passage") if not retriever.prompt(role)]
    if unused and without:
        logger.warning(
            "%s: texts as %s get no prompt; the model has prompts of other names, which are "
            "not used: %s",
            retriever.name,
            " and ".join(without),
            ", ".join(unused),
        )
    model_prompts = {k: v for k, v in (retriever.model.prompts or {}).items() if v}
    named = next((n for n in PASSAGE_PROMPTS if model_prompts.get(n)), None)
    if named not in (None, "document") and retriever.prompts == model_prompts:
        logger.warning(
            "%s: its prompt '%s' stands before passages; encode_document of "
            "sentence-transformers uses 'document', which it lacks, and so no prompt",
            retriever.name,
            named,
        )


def _is_chain(folder: str) -> bool:
    if Path(folder).is_dir():
        return (Path(folder) / "modules.json").exists()
    from huggingface_hub import file_exists

    return file_exists(folder, "modules.json")


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
