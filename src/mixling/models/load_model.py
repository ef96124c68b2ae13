"""Load a model and find how it is used: by options, by its files, or as its base model was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixling.errors import check_at_least, choose
from mixling.models import shipped, stored, trust
from mixling.models.conventions import BY_NAME, find_conventions
from mixling.models.hub_cache import complete_snapshot, in_hub_cache
from mixling.models.loading import append_truncation, load_chain
from mixling.models.prompts import unknown_names
from mixling.models.settings import (
    COMPANION,
    FILES,
    OPTION,
    ModelSettings,
    Setting,
    resolve_prompts,
    resolve_titles,
)
from mixling.models.weights import DEFAULT, locate_model

SIMILARITIES = ("cosine", "dot", "dot_product")
# a tokenizer without a limit gives 10^30
NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class LoadedModel:
    """A model and how it is used.

    Args:
        model: The sentence-transformers model in fp32.
        name: Its name.
        folder: Its folder or hub name.
        prompts: Prompts by role, and by name those of the files that belong to no role.
        settings: How it is used.
    """

    model: Any
    name: str
    folder: str
    prompts: dict[str, str]
    settings: ModelSettings


def load_model(
    name: str, *, device: str | None, trust_remote_code: bool, options: Mapping[str, Any]
) -> LoadedModel:
    """Load a model and find how it is used.

    Args:
        name: A folder, a hub name, or "balanced".
        device: Where to compute. Default: a GPU if there is one.
        trust_remote_code: Run Python code that the model's files bring.
        options: The arguments of `Retriever` that take the place of the model's settings.

    Returns:
        The model.

    Raises:
        MixlingError: The model cannot be found, loaded or used, or an option does not fit it.
    """
    folder, known_name = locate_model(DEFAULT if name == shipped.NAME else name)
    known = find_conventions(folder, known_name)
    pooling, similarity = options.get("pooling"), options.get("similarity")
    if not Path(known_name).is_dir() and folder == in_hub_cache(known_name):
        complete_snapshot(known_name, folder, pooling is not None or known.source == BY_NAME)
    loaded = load_chain(
        folder,
        name,
        known,
        device=device,
        pooling=pooling,
        similarity=similarity,
        trust_remote_code=trust_remote_code,
    )
    if name == shipped.NAME:
        for module in shipped.shipped_modules():
            loaded.model.append(module)
    if "truncate_dim" in options:
        append_truncation(loaded.model, options["truncate_dim"], name)
    stated = trust.read_companion(folder, COMPANION)
    prompts = resolve_prompts(
        options.get("prompts"),
        options.get("task_description"),
        loaded.prompts,
        stated,
        known,
        known_name,
    )
    named = loaded.similarity if similarity is None else Setting(similarity, OPTION)
    choose(named.value, SIMILARITIES, "similarity")
    local = folder if Path(folder).is_dir() else in_hub_cache(folder)
    other_prompts = {k: loaded.prompts[k] for k in unknown_names(loaded.prompts)}
    return LoadedModel(
        loaded.model,
        shipped.NAME if name == shipped.NAME else known_name,
        folder,
        {**other_prompts, **{role: s.value for role, s in prompts.items() if s.value}},
        ModelSettings(
            pooling=loaded.pooling,
            query_prompt=prompts["query"],
            passage_prompt=prompts["passage"],
            titles=resolve_titles(options.get("titles", "model"), prompts["passage"].value, stated),
            max_length=_max_length(loaded.model, options.get("max_length")),
            similarity=Setting("cosine" if named.value == "cosine" else "dot", named.source),
            dimensions=Setting(
                int(loaded.model.get_embedding_dimension() or 0),
                OPTION if "truncate_dim" in options else FILES,
            ),
            stored=Setting(stored.number_format(local) if local else "", FILES),
        ),
    )


def _max_length(model: Any, max_length: int | None) -> Setting:
    """Return the most tokens of a text that caller, tokenizer and positions all allow."""
    check_at_least(1, max_length=max_length)
    limit, source = model.max_seq_length or 512, FILES if model.max_seq_length else "default"
    limit = min(limit, NO_LIMIT)
    n_positions = stored.learned_positions(model[0].auto_model)
    if n_positions is not None and n_positions < limit:
        model.max_seq_length = limit = n_positions
        source = "the encoder's positions"
    if max_length is not None and max_length <= limit:
        limit, source = max_length, OPTION
    return Setting(int(limit), source)
