"""The settings of a run as text, from the configuration's own descriptions."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticUndefined

from mixling.training.config import (
    Config,
    LoraConfig,
    SourceConfig,
    TermConfig,
    TransformConfig,
    ValidationConfig,
)

Table = tuple[str, str, list[tuple[str, str, str]]]


def tables() -> list[Table]:
    """Every table of a configuration: its head, its meaning, and (setting, default, meaning) of each setting."""
    parts: list[tuple[str, Any]] = [
        (n, f.annotation) for n, f in Config.model_fields.items() if n != "soup"
    ]
    more = [("[data.sources]", SourceConfig), ("[objective.terms]", TermConfig), ("model.transform", TransformConfig), ("model.lora", LoraConfig),
            ("training.validation", ValidationConfig)]  # fmt: skip
    found: list[Table] = []
    for name, part in [*parts, *more]:
        rows = [
            (key, _default(field.get_default(call_default_factory=True)), str(field.description))
            for key, field in part.model_fields.items()
        ]
        found.append((f"[{name}]", str(part.__doc__), rows))
    return [*found, ("[[soup]]", str(Config.model_fields["soup"].description), [])]


def explain() -> str:
    """Every table, setting, default and meaning, as commented TOML."""
    lines = []
    for head, said, rows in tables():
        lines += [
            f"{head}  # {said}",
            *(f"{key} = {default}  # {meaning}" for key, default, meaning in rows),
            "",
        ]
    return "\n".join(lines)


def _default(value: Any) -> str:
    """As TOML writes it; … where there is none."""
    if value is PydanticUndefined:
        return "…"
    shown = "" if value is None else repr(value).replace("'", '"')
    return {"True": "true", "False": "false"}.get(shown, shown)
