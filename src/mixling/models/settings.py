"""The settings of a model: each with its value and its source.

`Retriever.settings` has them as data, results and model cards record them, and the commands print
them as one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mixling.corpora.values import TITLES
from mixling.errors import MixlingError
from mixling.models.conventions import KnownUse
from mixling.models.prompts import (
    NO_TITLES,
    ROLE_NAMES,
    ROLES,
    Role,
    TitleOption,
    prompt_name,
    title_form,
    unknown_names,
    with_task_description,
)

COMPANION = "model_settings.json"  # what Mixling writes beside a model
FILES = "model's files"
OPTION = "option"
DEFAULT_SOURCE = "default"
# arguments of a retriever that change vectors or scores, and their types in JSON
OPTION_TYPES: dict[str, type] = {
    "pooling": str,
    "prompts": dict,
    "max_length": int,
    "similarity": str,
    "titles": str,
    "truncate_dim": int,
    "task_description": str,
    "query_options": dict,
    "passage_options": dict,
}


@dataclass(frozen=True)
class Setting:
    """A value and where it comes from.

    Args:
        value: The value.
        source: "model's files", "known conventions", "inferred from base model NAME (FILE)",
            "option", or "default" with a reason.
    """

    value: Any
    source: str


@dataclass(frozen=True)
class ModelSettings:
    """The settings of a model.

    Args:
        pooling: How the vectors of tokens become one, for instance "mean".
        query_prompt: Prompt before each query.
        passage_prompt: Prompt before each passage.
        titles: How a passage's title is read: "title, space, text", a form such as
            "title: {title} | text: {text}", or "none".
        max_length: Largest number of tokens of a text.
        similarity: "cosine" or "dot".
        dimensions: Size of a vector.
        stored: Number format of the stored weights, "" if it is unknown. They are loaded as fp32.
    """

    pooling: Setting
    query_prompt: Setting
    passage_prompt: Setting
    titles: Setting
    max_length: Setting
    similarity: Setting
    dimensions: Setting
    stored: Setting

    def line(self) -> str:
        """Return the settings as one line of text, each with its source in brackets."""
        prompts = [f"query prompt {_quoted(self.query_prompt)}"]
        prompts.append(f"passage prompt {_quoted(self.passage_prompt)}")
        if not self.query_prompt.value and not self.passage_prompt.value:
            prompts = [f"no prompts [{self.query_prompt.source}]"]
        return "; ".join(
            [
                f"pooling {self.pooling.value} [{self.pooling.source}]",
                *prompts,
                f"titles as {_quoted(self.titles)}",
                f"at most {self.max_length.value} tokens [{self.max_length.source}]",
                f"{self.similarity.value} [{self.similarity.source}]",
                f"{self.dimensions.value} dimensions [{self.dimensions.source}]",
                f"stored in {self.stored.value or 'an unknown format'} [{self.stored.source}]",
            ]
        )

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return the settings for JSON: value and source by name."""
        settings: dict[str, Setting] = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: {"value": s.value, "source": s.source} for name, s in settings.items()}


def _quoted(setting: Setting) -> str:
    """Return a text and its source; a line break is written as an escape."""
    if not setting.value:
        return f"none [{setting.source}]"
    return f"{json.dumps(setting.value, ensure_ascii=False)} [{setting.source}]"


def resolve_prompts(
    given: Mapping[str, str] | None,
    task_description: str | None,
    files: Mapping[str, str],
    stated: Mapping[str, Any],
    known: KnownUse,
    name: str,
) -> dict[Role, Setting]:
    """Find the prompt of each role.

    Args:
        given: Prompts by name that the user gives; a role that is missing keeps the model's.
        task_description: What a query is for, for a model with an instruction.
        files: Prompts by name of the model's files.
        stated: The settings that Mixling wrote beside the model.
        known: How a model is meant to be used whose files do not name a prompt.
        name: The model's name in messages.

    Returns:
        The prompt of each role, which may be empty, and where it comes from.

    Raises:
        MixlingError: A given prompt belongs to no role, or the prompt of queries takes no task
            description.
    """
    if unknown := unknown_names(given or {}):
        raise MixlingError(f"prompts has the name '{unknown[0]}'. Expected query and passage.")
    prompts: dict[Role, Setting] = {}
    in_files = any(prompt_name(files, role) for role in ROLES)
    for role in ROLES:
        option = next((x for x in ROLE_NAMES[role] if given and x in given), None)
        stated_prompt = stated.get(f"{role}_prompt")
        if given is not None and option is not None:
            setting = Setting(given[option], OPTION)
        elif in_files:
            setting = Setting(files.get(prompt_name(files, role) or "", ""), FILES)
        elif isinstance(stated_prompt, dict):
            setting = Setting(str(stated_prompt.get("value") or ""), FILES)
        elif known.source:
            setting = Setting(known.conventions.prompts.get(role, ""), known.source)
        else:
            base = f"; the conventions of base model {known.base} are unknown" if known.base else ""
            setting = Setting("", f"none in the files{base}")
        if role == "query" and task_description is not None:
            setting = Setting(with_task_description(setting.value, task_description, name), OPTION)
        prompts[role] = setting
    return prompts


def resolve_titles(option: TitleOption, passage_prompt: str, stated: Mapping[str, Any]) -> Setting:
    """Find how titles are read.

    Args:
        option: "model" for the model's way, "joined" for "title text", "none" for the text alone.
        passage_prompt: The prompt of passages.
        stated: The settings that Mixling wrote beside the model.

    Returns:
        The form (see `prompts.title_form`) and where it comes from.

    Raises:
        MixlingError: The option is unknown.
    """
    form = title_form(option, passage_prompt)
    if option != "model":
        return Setting(form, OPTION)
    stated_titles = stated.get("titles")
    if isinstance(stated_titles, dict) and stated_titles.get("value") in (TITLES, NO_TITLES):
        return Setting(stated_titles["value"], FILES)
    return Setting(form, DEFAULT_SOURCE if form == TITLES else "the passage prompt")
