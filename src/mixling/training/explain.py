"""The settings of a run as text, from the configuration's own descriptions."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticUndefined

from mixling.training.config import Config, LoraConfig, MapConfig, SourceConfig, TermConfig, ValidationConfig


def explain() -> str:
    """Every table, setting, default and meaning, as commented TOML."""
    lines = []
    tables: list[tuple[str, Any]] = [(n, f.annotation) for n, f in Config.model_fields.items() if n != "soup"]
    more = [("[data.sources]", SourceConfig), ("[objective.terms]", TermConfig), ("model.map", MapConfig), ("model.lora", LoraConfig),
            ("training.validation", ValidationConfig)]  # fmt: skip
    for name, part in [*tables, *more]:
        lines += [f"[{name}]  # {part.__doc__}"]
        for key, field in part.model_fields.items():
            default = field.get_default(call_default_factory=True)
            shown = (
                "…"
                if default is PydanticUndefined
                else ""
                if default is None
                else repr(default).replace("'", '"')
            )
            shown = {"True": "true", "False": "false"}.get(shown, shown)
            lines.append(f"{key} = {shown}  # {field.description}")
        lines.append("")
    return "\n".join([*lines, f"[[soup]]  # {Config.model_fields['soup'].description}", ""])
