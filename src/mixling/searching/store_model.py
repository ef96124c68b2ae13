"""Loads the model that a store was made with, used as it was used then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixling.errors import MixlingError
from mixling.models.encoder import ExternalEncoder
from mixling.models.encoders import AnyEncoder, load_encoder
from mixling.models.fingerprints import config_fingerprint
from mixling.models.query_encoder import remember_model, remembered_model
from mixling.models.settings import OPTION_TYPES
from mixling.searching.stores import made_by


def model_options(address: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a store was made with: arguments of `Retriever`."""
    options = info.get("model_options") or {}
    if not isinstance(options, dict) or not all(
        isinstance(value, OPTION_TYPES.get(name, ())) for name, value in options.items()
    ):
        raise MixlingError(
            f"{address}: its model_options are not as Mixling writes them ({str(options)[:60]}). "
            "Index the documents again."
        )
    return dict(options)


def load_store_model(
    address: str,
    info: Mapping[str, Any],
    model: str | None,
    trust_remote_code: bool,
    options: Mapping[str, Any],
) -> AnyEncoder:
    """Load the model that the caller or else the store names, and see that it made the store.

    What a model does with a query is remembered, so that a later process answers sooner.

    Raises:
        MixlingError: The model cannot be loaded, or another one made the store.
    """
    name = str(info["model"]) if model is None else model
    quick = remembered_model(name, options)
    if quick is not None and quick.made(info):
        return quick
    try:
        loaded = load_encoder(name, trust_remote_code=trust_remote_code, **options)
    except MixlingError as error:
        if model is not None:
            raise
        raise MixlingError(
            f"{address}: the store was made with the model {name}, which cannot be loaded. "
            f"{error} If the model has moved, name its new place: --model PATH (in Python: "
            "Searcher(store, model))."
        ) from None
    check_made_by(address, loaded, info)
    if not isinstance(loaded, ExternalEncoder):
        remember_model(loaded, str(info["encoder"]), config_fingerprint(loaded))
    return loaded


def check_made_by(address: str, encoder: AnyEncoder, info: Mapping[str, Any]) -> None:
    """Raise `MixlingError` for an encoder that did not make the vectors of a store."""
    if not made_by(encoder, dict(info)):
        raise MixlingError(
            f"{address}: the store was made with {info['model']}. {encoder.name} has other "
            "weights or prompts. Search with that model, or index again into another store."
        )
