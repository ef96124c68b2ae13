"""Check that Mixling computes the same vectors as sentence-transformers for a chain of modules.

Mixling tokenizes texts and calls the modules itself: packed, in calls of a limited number of
tokens, and one part of the chain at a time. A chain must work that way. Modules and options that
are known not to work are refused by name. For the others, the vectors of a few short texts are
compared with those of sentence-transformers when the model is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mixling.errors import MixlingError, NotFiniteError
from mixling.models import stored
from mixling.models.forward import forward_tokens

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

SUPPORTED_MODULES = (
    "Transformer",
    "Pooling",
    "Dense",
    "Normalize",
    "LayerNorm",
    "Dropout",
    "WeightedLayerPooling",
)
# The lengths differ, so that the comparison covers padding.
TRIAL_TEXTS = ("a", "How do cranes find their way when they fly south?", "鶴はどこで冬を越すか")
TOLERANCE = 1e-4  # largest difference of two vectors, relative to their largest number
USE_VECTORS = (
    "For this model, encode with sentence-transformers, and give the vectors to "
    "`mixling index --vectors` or `mixling debias --vectors`"
)


def check_model_type(folder: str, name: str) -> None:
    """Refuse a model that is no SentenceTransformer, such as a cross-encoder.

    sentence-transformers would load the encoder inside such a model and pool it by its mean.

    Args:
        folder: A folder or hub name.
        name: The model's name in messages.

    Raises:
        MixlingError: config_sentence_transformers.json names another type of model.
    """
    from sentence_transformers.util.file_io import load_file_path

    path = load_file_path(folder, "config_sentence_transformers.json")
    model_type = json.loads(Path(path).read_bytes()).get("model_type") if path else None
    if model_type not in (None, "SentenceTransformer"):
        raise MixlingError(
            f"{name}: the model is a {model_type} (model_type in "
            "config_sentence_transformers.json). Expected a SentenceTransformer. To use the "
            "encoder inside, name its pooling (--pooling)."
        )


def check_modules(model: Any, name: str, similarity: str | None) -> None:
    """Refuse a chain with a module or an option that Mixling does not support.

    Args:
        model: A SentenceTransformer.
        name: The model's name in messages.
        similarity: The similarity that the user asks for, or None for the model's.

    Raises:
        MixlingError: The chain is not supported. The message names the module or the option.
    """
    for number, module in enumerate(model):
        module_type = type(module).__name__
        if (
            type(module).__module__.startswith("sentence_transformers.")
            and module_type not in SUPPORTED_MODULES
        ):
            raise MixlingError(
                f"{name}: module {number} of its chain is {module_type}. Mixling can use "
                f"{', '.join(SUPPORTED_MODULES)} only. {USE_VECTORS}."
            )
    _check_transformer(model[0], name)
    model_similarity = str(model.similarity_fn_name)
    if similarity is None and model_similarity in ("euclidean", "manhattan"):
        raise MixlingError(
            f"{name}: the model compares vectors by {model_similarity} distance "
            "(similarity_fn_name in config_sentence_transformers.json), but Mixling compares by "
            "cosine or dot product only. Write cosine or dot there if the model can be used so."
        )


def _check_transformer(transformer: Any, name: str) -> None:
    """Refuse a first module that takes no text, or has options that Mixling does not support."""
    if not hasattr(transformer, "modality_config"):
        module = f"{type(transformer).__module__}.{type(transformer).__name__}"
        raise MixlingError(
            f"{name}: its chain begins with {module}. Expected a Transformer of "
            f"sentence-transformers. {USE_VECTORS}."
        )
    if "text" not in transformer.modality_config:
        raise MixlingError(
            f"{name}: its Transformer takes no text, only "
            f"{', '.join(map(str, transformer.modality_config))}. Take a model of texts."
        )
    unsupported = {
        "a chat template (modality_config: message)": "message" in transformer.modality_config,
        "query_expansion": getattr(transformer, "query_expansion", None),
        "query_length": getattr(transformer, "query_length", None),
        "document_length": getattr(transformer, "document_length", None),
        "processing_kwargs": getattr(transformer, "processing_kwargs", None),
    }
    for option, value in unsupported.items():
        if value:
            raise MixlingError(
                f"{name}: its Transformer has {option}, which Mixling does not support. "
                f"{USE_VECTORS}."
            )


def check_prompt_pooling(retriever: Retriever) -> None:
    """Refuse a model that has a prompt and whose pooling leaves the prompt's tokens out.

    Args:
        retriever: A retriever with its prompts. Mixling pools all tokens.

    Raises:
        MixlingError: A module of the chain has `include_prompt` false.
    """
    roles = [role for role in ("query", "passage") if retriever.prompt(role)]
    for number, module in enumerate(retriever.model):
        if roles and getattr(module, "include_prompt", True) is False:
            raise MixlingError(
                f"{retriever.name}: module {number} of its chain, {type(module).__name__}, "
                "leaves the prompt out of the vector (include_prompt is false), and the model "
                f"has a prompt for {' and '.join(roles)}. Mixling pools all tokens. "
                f"{USE_VECTORS}."
            )


def append_truncation(model: Any) -> None:
    """Append a frozen linear layer that cuts vectors to `truncate_dim`, in place.

    The layer replaces the option, so that every other part of Mixling sees the size of the cut
    vectors.

    Args:
        model: A SentenceTransformer.

    Raises:
        MixlingError: `truncate_dim` is below 1.
    """
    from sentence_transformers.sentence_transformer.modules import Dense

    size, model.truncate_dim = model.truncate_dim, None
    full_size = int(model.get_embedding_dimension() or 0)
    if size is None or size >= full_size:
        return
    if size < 1:
        raise MixlingError(
            f"truncate_dim is {size} in config_sentence_transformers.json. Expected a number "
            f"from 1 to {full_size}."
        )
    truncation = Dense(
        full_size,
        size,
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=torch.eye(size, full_size),
    )
    model.append(truncation.requires_grad_(False).to(next(model.parameters()).device))


def check_vectors(retriever: Retriever) -> None:
    """Compare a retriever's vectors of a few short texts with those of sentence-transformers.

    Args:
        retriever: A loaded retriever.

    Raises:
        MixlingError: The model cannot encode a text, its tokenizer does not fit, or the vectors
            differ.
    """
    model = retriever.model
    modules = ", ".join(type(m).__name__ for m in model)
    training_flags = [(m, m.training) for m in model.modules()]
    max_seq_length = model.max_seq_length
    model.eval()
    try:
        stored.check_tokenizer(retriever.tokenizer, retriever.encoder, retriever.name)
        for role in ("query", "passage"):
            _compare_vectors(retriever, role, modules)
    except MixlingError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise MixlingError(
            f"{retriever.name}: the model cannot encode a text ({type(error).__name__}: "
            f"{reason}; its chain is {modules}). Fetch the model again, or take another one."
        ) from None
    finally:
        model.max_seq_length = max_seq_length
        for module, flag in training_flags:
            module.training = flag


def _compare_vectors(retriever: Retriever, role: str, modules: str) -> None:
    """Refuse a model whose vectors of one role differ; `modules` names its chain in messages."""
    texts = list(TRIAL_TEXTS)
    languages = ["und"] * len(texts)
    with torch.inference_mode():
        tokens = retriever.tokenize(texts, role)
        head = torch.nn.Sequential(*retriever.head_modules())
        # A budget of one token puts each text into a call of its own, which has no padding.
        pooled = forward_tokens(head, tokens, retriever.pad, max_tokens=1).cpu().numpy()
        try:
            vectors = retriever.encode_tail(pooled, texts, role, languages)
        except NotFiniteError:  # `encode` names the texts of the user that this happens to
            return
        if retriever.tokenizer.pad_token_id is None:
            return  # sentence-transformers cannot pad the texts of such a model
        expected = _sentence_transformers_vectors(retriever, texts, role, languages)
    if vectors.shape[1] != retriever.dimensions:
        raise MixlingError(
            f"{retriever.name}: the model gives vectors of {vectors.shape[1]} numbers, but the "
            f"last module of its chain ({modules}) names {retriever.dimensions}. The last module "
            "must write sentence_embedding."
        )
    difference = np.abs(vectors - expected).max() / max(np.abs(expected).max(), 1e-12)
    if difference > TOLERANCE:
        raise MixlingError(
            f"{retriever.name}: Mixling's vectors of texts as {role} differ from those of "
            f"sentence-transformers by {difference:.0e}, or depend on the texts that are encoded "
            f"with them (chain: {modules}). {USE_VECTORS}."
        )


def _sentence_transformers_vectors(
    retriever: Retriever, texts: list[str], role: str, languages: list[str]
) -> np.ndarray:
    """Return the vectors that sentence-transformers computes, float32 `[n, dimensions]`."""
    model = retriever.model
    task = "document" if role == "passage" else role
    model.max_seq_length = retriever.max_length
    features = {
        key: value.to(retriever.device) if isinstance(value, torch.Tensor) else value
        for key, value in model.preprocess(
            texts, prompt=retriever.prompt(role) or None, task=task
        ).items()
    }
    features.update(text_language=languages, text_role=role)
    vectors: torch.Tensor = model(features, task=task)["sentence_embedding"]
    return vectors.float().cpu().numpy()
