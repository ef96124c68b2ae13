"""The base of the tables of a configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ConfigTable(BaseModel):
    """A table of a configuration, which refuses unknown options and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
