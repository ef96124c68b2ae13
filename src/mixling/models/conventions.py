"""Conventions of encoders whose files do not state them: prompts, pooling and similarity.

`KNOWN_CONVENTIONS` holds the pooling, the similarity and the prompts of encoders on the hub. The
same holds for a copy or a fine-tuned model in a folder, whose files name the encoder they come
from: its card, its config.json, or the record that Mixling wrote (`find_conventions`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mixling.models.prompts import DEFAULT_TASK
from mixling.models.trust import model_file, read_json


@dataclass(frozen=True)
class Conventions:
    """The conventions of an encoder.

    Args:
        pooling: "mean", "cls" or "lasttoken".
        similarity: "cosine" or "dot".
        prompts: Prompts by role, "query" and "passage".
        pretrained_only: Whether it is a language model that nobody has trained for retrieval, so
            that nothing follows for a model trained from it.
    """

    pooling: str = "mean"
    similarity: str = "cosine"
    prompts: dict[str, str] = field(default_factory=dict)
    pretrained_only: bool = False


_E5 = Conventions(prompts={"query": "query: ", "passage": "passage: "})
_E5_INSTRUCT = Conventions(prompts={"query": f"Instruct: {DEFAULT_TASK}\nQuery: "})
# the first pattern that matches a name counts
KNOWN_CONVENTIONS = {
    "intfloat/multilingual-e5-*instruct": _E5_INSTRUCT,
    "intfloat/multilingual-e5-*": _E5,
    "intfloat/e5-small*": _E5,
    "intfloat/e5-base*": _E5,
    "intfloat/e5-large*": _E5,
    "castorini/mdpr-*": Conventions("cls", "dot"),
    "facebook/mcontriever*": Conventions("mean", "dot"),
    "google-bert/bert-base-multilingual-*": Conventions("cls", "dot", pretrained_only=True),
    "BAAI/bge-m3*": Conventions("cls", "cosine"),
    "FacebookAI/xlm-roberta-*": Conventions("mean", "cosine", pretrained_only=True),
}


BY_NAME = "known conventions"


@dataclass(frozen=True)
class KnownUse:
    """The conventions of a model, and how they are known.

    Args:
        conventions: The conventions; those of a plain encoder where nothing is known.
        source: "known conventions", "inferred from base model NAME (FILE)", or "" if nothing is
            known.
        base: A base model that the files name and whose conventions are unknown, or "".
    """

    conventions: Conventions
    source: str = ""
    base: str = ""


def conventions(name: str) -> Conventions | None:
    """Return how an encoder on the hub is meant to be used.

    Args:
        name: A hub name.

    Returns:
        The conventions, or None if the encoder is unknown.
    """
    return next(
        (c for pattern, c in KNOWN_CONVENTIONS.items() if fnmatch.fnmatch(name, pattern)), None
    )


def find_conventions(folder: str, name: str) -> KnownUse:
    """Find how a model is meant to be used: by its name, or by the base model its files name.

    Args:
        folder: A folder or hub name that holds the model's files.
        name: The model's name.

    Returns:
        The conventions and how they are known.
    """
    known = None if Path(name).is_dir() else conventions(name)
    if known is not None:
        return KnownUse(known, BY_NAME)
    named = list(_base_models(folder))
    by_folder = []
    if not named and Path(name).is_dir():
        by_folder = [(Path(folder).resolve().name, "the folder's name")]
    for base, place in named or by_folder:
        known = conventions(base) or _conventions_of_copy(base)
        if known is not None and not known.pretrained_only:
            return KnownUse(known, f"inferred from base model {_shown(base)} ({place})")
    return KnownUse(Conventions(), base=_shown(named[0][0]) if named else "")


def _shown(name: str) -> str:
    """Return a model's name for people: of a path its last part."""
    return Path(name).name if Path(name).is_absolute() else name


def _conventions_of_copy(name: str) -> Conventions | None:
    """Return the conventions of an encoder in a folder, by the last part of its path.

    A name of the form "owner/name" is another model of the hub, whoever its owner is.
    """
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
        return None
    last = name.rstrip("/").rpartition("/")[2]
    return next(
        (
            c
            for pattern, c in KNOWN_CONVENTIONS.items()
            if fnmatch.fnmatch(last, pattern.rpartition("/")[2])
        ),
        None,
    )


def _base_models(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the names that a model's files give of the model it comes from, and where each is."""
    for file, keys in (
        ("origin.json", ("base", "model")),
        ("adapter_config.json", ("base_model_name_or_path",)),
    ):
        content = read_json(folder, file)
        for key in keys if isinstance(content, dict) else ():
            if isinstance(content.get(key), str):
                yield content[key], file
    for name in _card_names(folder):
        yield name, "README.md"
    config = read_json(folder, "config.json")
    if isinstance(config, dict) and isinstance(config.get("_name_or_path"), str):
        yield config["_name_or_path"], "config.json"


def _card_names(folder: str) -> list[str]:
    """Return the base models of a card, then the names under which it lists its results."""
    path = model_file(folder, "README.md")
    if path is None:
        return []
    import yaml

    head = re.match(r"---\s*\n(.*?)\n---", path.read_text("utf-8", "replace"), re.DOTALL)
    try:
        data = yaml.safe_load(head[1]) if head else None
    except yaml.YAMLError:  # a card is for people; what cannot be parsed names nothing
        return []
    if not isinstance(data, dict):
        return []
    base = data.get("base_model")
    index = data.get("model-index")
    named = [base] if isinstance(base, str) else base if isinstance(base, list) else []
    listed = [x.get("name") for x in index or () if isinstance(x, dict)]
    names = [x for x in [*named, *listed] if isinstance(x, str)]
    return [x for x in names if re.fullmatch(r"[\w./-]+", x)]
