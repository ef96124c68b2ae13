"""Whether Mixling gives the vectors of sentence-transformers for a chain of its modules.

Mixling cuts texts into tokens and calls the modules itself (packed, by tokens, a part at a time), so a chain must be one that can
be called so. What is known not to be is refused by name; of what remains, a few short texts decide when a model is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mixling.errors import MixlingError, NotFinite
from mixling.models.forward import forward_tokens

if TYPE_CHECKING:
    from mixling.models.retriever import Retriever

MODULES = (
    "Transformer",
    "Pooling",
    "Dense",
    "Normalize",
    "LayerNorm",
    "Dropout",
    "WeightedLayerPooling",
)
# of different lengths: padding is seen too
TEXTS = ("a", "How do cranes find their way when they fly south?", "鶴はどこで冬を越すか")
TOLERANCE = 1e-4
ELSEWHERE = "encode with sentence-transformers, and give the vectors to `mixling index --vectors` or `mixling debias --vectors`"


def of_kind(folder: str, name: str) -> None:
    """Refuse a folder, or hub name, of another kind of model: sentence-transformers would pool the encoder inside by its mean."""
    from sentence_transformers.util.file_io import load_file_path

    path = load_file_path(folder, "config_sentence_transformers.json")
    kind = json.loads(Path(path).read_bytes()).get("model_type") if path else None
    if kind not in (None, "SentenceTransformer"):
        raise MixlingError(
            f"{name}: is a {kind} (model_type in config_sentence_transformers.json), expected a SentenceTransformer; to use the encoder "
            "inside, name its pooling"
        )


def examine(model: Any, name: str, similarity: str | None) -> None:
    """Refuse a chain that Mixling cannot call as sentence-transformers does. similarity: what the user asked for.

    Raises MixlingError that names the module or the setting.
    """
    for number, module in enumerate(model):
        kind = type(module).__name__
        if type(module).__module__.startswith("sentence_transformers.") and kind not in MODULES:
            raise MixlingError(
                f"{name}: module {number} of its chain is {kind}; Mixling can use {', '.join(MODULES)}. For this model, {ELSEWHERE}"
            )
    first = model[0]
    if not hasattr(first, "modality_config"):
        raise MixlingError(
            f"{name}: its chain begins with {type(first).__name__}, not with a Transformer. For this model, {ELSEWHERE}"
        )
    if "text" not in first.modality_config:
        raise MixlingError(
            f"{name}: its Transformer takes no text ({', '.join(map(str, first.modality_config))})"
        )
    settings = {
        "a chat template (modality_config: message)": "message" in first.modality_config,
        "query_expansion": getattr(first, "query_expansion", None),
        "query_length": getattr(first, "query_length", None),
        "document_length": getattr(first, "document_length", None),
        "processing_kwargs": getattr(first, "processing_kwargs", None),
    }
    for setting, value in settings.items():
        if value:
            raise MixlingError(
                f"{name}: its Transformer has {setting}, which Mixling cannot follow. For this model, {ELSEWHERE}"
            )
    compared = str(model.similarity_fn_name)
    if similarity is None and compared in ("euclidean", "manhattan"):
        raise MixlingError(
            f"{name}: compares vectors by {compared} distance (similarity_fn_name in config_sentence_transformers.json); Mixling "
            "compares by cosine or dot product. Write cosine or dot there if the model can be used so"
        )


def prompt_kept(retriever: Retriever) -> None:
    """Refuse a pooling that leaves out the prompt where there is one: Mixling pools all tokens."""
    used = [role for role in ("query", "passage") if retriever.prompt(role)]
    for number, module in enumerate(retriever.model):
        if used and getattr(module, "include_prompt", True) is False:
            raise MixlingError(
                f"{retriever.name}: module {number} of its chain, {type(module).__name__}, leaves the prompt out of the vector "
                f"(include_prompt is false), and the model has a prompt for {' and '.join(used)}; Mixling pools all tokens. For "
                f"this model, {ELSEWHERE}"
            )


def truncated(model: Any) -> None:
    """Let a linear layer that is not trained cut vectors to `truncate_dim`, in place, so that all that follows sees their size."""
    from sentence_transformers.sentence_transformer.modules import Dense

    size, model.truncate_dim = model.truncate_dim, None
    whole = int(model.get_embedding_dimension() or 0)
    if size is None or size >= whole:
        return
    if size < 1:
        raise MixlingError(
            f"truncate_dim is {size} in config_sentence_transformers.json: expected 1 to {whole}"
        )
    cut = Dense(
        whole,
        size,
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=torch.eye(size, whole),
    )
    model.append(cut.requires_grad_(False).to(next(model.parameters()).device))


def agree(retriever: Retriever) -> None:
    """Encode a few short texts as Mixling does and as sentence-transformers does. Raises MixlingError where the model cannot encode
    or the vectors differ."""
    model, texts = retriever.model, list(TEXTS)
    device = next(model.parameters()).device
    named = ", ".join(type(m).__name__ for m in model)
    was = [(m, m.training) for m in model.modules()]
    limit = model.max_seq_length
    model.eval()
    try:
        for role, task in (("query", "query"), ("passage", "document")):
            language = {"text_language": ["und"] * len(texts), "text_role": role}
            with torch.inference_mode():
                tokens = retriever.tokenize(texts, role)
                head = torch.nn.Sequential(*retriever.head_modules())
                alone = 1  # a budget of one token: each text in a call of its own, never padded
                pooled = forward_tokens(head, tokens, retriever.pad, alone).cpu().numpy()
                try:
                    mine = retriever.encode_tail(pooled, texts, role, language["text_language"])
                except NotFinite:  # encoding the user's texts names those that it happens to
                    continue
                if retriever.tokenizer.pad_token_id is None:
                    continue  # sentence-transformers cannot pad such a model's texts
                model.max_seq_length = retriever.max_length
                features = model.preprocess(texts, prompt=retriever.prompt(role) or None, task=task)
                features = {
                    k: v.to(device) if isinstance(v, torch.Tensor) else v
                    for k, v in features.items()
                }
                theirs = (
                    model({**features, **language}, task=task)["sentence_embedding"]
                    .float()
                    .cpu()
                    .numpy()
                )
            if mine.shape[1] != retriever.dimensions:
                raise MixlingError(
                    f"{retriever.name}: gives vectors of {mine.shape[1]} numbers, but the last module of its chain ({named}) names "
                    f"{retriever.dimensions}; let the last module write sentence_embedding"
                )
            off = np.abs(mine - theirs).max() / max(np.abs(theirs).max(), 1e-12)
            if off > TOLERANCE:
                raise MixlingError(
                    f"{retriever.name}: Mixling's vectors of texts as {role} differ from sentence-transformers' by {off:.0e}, or depend "
                    f"on the texts that are encoded with them (chain: {named}). For this model, {ELSEWHERE}"
                )
    except MixlingError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise MixlingError(
            f"{retriever.name}: cannot encode a text ({type(error).__name__}: {first}; chain: {named})"
        ) from None
    finally:
        model.max_seq_length = limit
        for module, flag in was:
            module.training = flag
