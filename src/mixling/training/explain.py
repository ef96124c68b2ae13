"""Every option of a configuration as text, from the configuration's own descriptions."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticUndefined

from mixling.training.config import (
    Config,
    LoraConfig,
    SourceConfig,
    TransformConfig,
    ValidationConfig,
)
from mixling.training.objective_config import TermConfig

Table = tuple[str, str, list[tuple[str, str, str]]]
_INNER: dict[str, Any] = {
    "[data.sources]": SourceConfig,
    "[objective.terms]": TermConfig,
    "model.transform": TransformConfig,
    "model.lora": LoraConfig,
    "training.validation": ValidationConfig,
}


def tables() -> list[Table]:
    """List every table of a configuration.

    Returns:
        For each table its name in brackets, its meaning, and (option, default, meaning) of each
        option.
    """
    outer = {n: f.annotation for n, f in Config.model_fields.items() if n != "soup"}
    listed: list[Table] = []
    for name, table in {**outer, **_INNER}.items():
        options = [
            (key, _default(field.get_default(call_default_factory=True)), str(field.description))
            for key, field in table.model_fields.items()
        ]
        listed.append((f"[{name}]", str(table.__doc__), options))
    return [*listed, ("[[soup]]", str(Config.model_fields["soup"].description), [])]


def explain() -> str:
    """Return every table with its options, defaults and meanings, as commented TOML."""
    lines = []
    for name, meaning, options in tables():
        lines += [
            f"{name}  # {meaning}",
            *(f"{key} = {default}  # {text}" for key, default, text in options),
            "",
        ]
    return "\n".join(lines)


def _default(value: Any) -> str:
    """Write a default as TOML does, or … if the option must be given."""
    if value is PydanticUndefined:
        return "…"
    text = "" if value is None else repr(value).replace("'", '"')
    return {"True": "true", "False": "false"}.get(text, text)
