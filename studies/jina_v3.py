"""jina-embeddings-v3 as an encoder of Mixling: `python:studies.jina_v3:encode`.

The model has an adapter for queries and one for passages (arXiv:2409.10173). Its first repository
chooses between them in code of its own, which Mixling does not call. `jinaai/jina-embeddings-v3-hf`
has the same model for transformers' own class, and the adapters in folders beside it. Loaded by
that name alone, the model has no adapter, which is not how it was trained for retrieval.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from mixling.errors import MixlingError

MODEL = "jinaai/jina-embeddings-v3-hf"
ADAPTERS = {"query": "retrieval_query", "passage": "retrieval_passage"}
PROMPTS = {
    "query": "Represent the query for retrieving evidence documents: ",
    "passage": "Represent the document for retrieval: ",
}
MAX_TOKENS = 512  # of a text
BATCH = 32


@cache
def load(role: str) -> tuple[Any, Any]:
    """Return the tokenizer, and the model in fp32 with the adapter of a role.

    Each role has a model of its own, whose only adapter is active: so no release of peft is needed
    that can switch between two.

    Raises:
        MixlingError: Weights of the adapter are missing, so transformers made random ones.
    """
    from transformers import AutoModel, AutoTokenizer

    model, adapter = AutoModel.from_pretrained(MODEL, dtype=torch.float32), ADAPTERS[role]
    loaded = model.load_adapter(MODEL, adapter_name=adapter, adapter_kwargs={"subfolder": adapter})
    if missing := sorted(k for k in loaded.missing_keys if ".lora_" in k):
        raise MixlingError(
            f"{MODEL}: the adapter {adapter} lacks {len(missing)} weights, such as {missing[0]}. "
            "Fetch the model again, or take another version of transformers."
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return AutoTokenizer.from_pretrained(MODEL), model.eval().to(device)


def encode(texts: list[str], role: str | None) -> np.ndarray:
    """Encode texts with the prompt and the adapter of their role.

    Args:
        texts: The texts.
        role: "query", or anything else for passages.

    Returns:
        Unit vectors, float32 `[n, dim]`.
    """
    role = "query" if role == "query" else "passage"
    tokenizer, model = load(role)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # batches of equal lengths
    vectors = np.zeros((len(texts), model.config.hidden_size), np.float32)
    for begin in range(0, len(order), BATCH):
        rows = order[begin : begin + BATCH]
        inputs = tokenizer(
            [PROMPTS[role] + texts[i] for i in rows],
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_tensors="pt",
        ).to(model.device)
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1)
        vectors[rows] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
    return vectors
