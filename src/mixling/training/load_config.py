"""Loading a configuration: TOML over a recipe, checked against `Config`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mixling.errors import MixlingError, choose
from mixling.training.config import Config

Model = TypeVar("Model", bound=BaseModel)
RECIPES = Path(__file__).parent / "recipes"


def recipes() -> list[str]:
    """Return the names of the recipes.

    Configurations chosen on development data (docs/development/decisions.md).
    """
    return sorted(p.stem for p in RECIPES.glob("*.toml"))


def load_config(
    config: str | Path | dict[str, Any] | Config | None, recipe: str | None = None
) -> Config:
    """Load a configuration.

    Args:
        config: A TOML file, a dictionary or a `Config`. None takes the recipe as it is.
        recipe: Name of a recipe, whose values apply where `config` has none.

    Raises:
        MixlingError: A field is unknown or wrong; the message names file, field and expected value.
    """
    if isinstance(config, Config):
        return config
    if config is None:
        place, tables = f"recipe {recipe}", {}
    elif isinstance(config, dict):
        place, tables = "configuration", config
    else:
        place, tables = str(config), read_toml(Path(config))
    if recipe is not None:
        below = read_toml(RECIPES / f"{choose(recipe, recipes(), 'recipe')}.toml")
        if any(_overlap(run, tables) for run in below.get("soup", [])):
            del below["soup"]  # its runs differ in something that this configuration sets
        tables = _merge(below, tables)
    checked = validate_config(Config, tables, place)
    soup_runs(checked, place)
    return checked


def soup_runs(config: Config, place: str = "configuration") -> list[Config]:
    """Return the configurations of a soup's runs, none without a soup.

    Averaging with the base and a transform fitted afterwards apply to the soup, not to its runs.

    Args:
        config: The configuration, with a table for each run.
        place: Where the configuration stands, for messages.

    Raises:
        MixlingError: The runs differ in something that does not allow to average them.
    """
    common, runs = config.model_dump(mode="json", exclude={"soup"}), []
    for n, tables in enumerate(config.soup, 1):
        run = validate_config(Config, _merge(common, tables), f"{place}: soup, run {n}")
        equal = {
            "soup": "soup" not in tables,
            "data": run.data == config.data,
            "training.average_with_base": (
                run.training.average_with_base == config.training.average_with_base
            ),
            "model": run.model.model_copy(update={"lora": None})
            == config.model.model_copy(update={"lora": None}),
        }
        if not all(equal.values()):
            wrong = ", ".join(name for name, same in equal.items() if not same)
            raise MixlingError(
                f"{place}: soup, run {n}: {wrong} must be the same in all runs. A run may only set "
                "batches, objective, training and model.lora."
            )
        training = run.training.model_copy(update={"average_with_base": 0.0})
        if training.continues is not None and training.continues == config.training.continues:
            folder = f"{training.continues}/run-{n}"
            training = training.model_copy(update={"continues": folder})
        model = run.model
        if model.transform is not None and model.transform.when == "after":
            model = model.model_copy(update={"transform": None})
        runs.append(run.model_copy(update={"training": training, "model": model}))
    return runs


def migrate_config(config: dict[str, Any]) -> dict[str, Any]:
    """Fill in the defaults of options that were added after a configuration was written."""
    try:
        return Config.model_validate(config).model_dump(mode="json")
    except ValidationError:
        return config


def _merge(below: Any, above: Any) -> Any:
    """Merge two configurations table by table. A list is replaced as a whole."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {k: _merge(below.get(k), above.get(k)) for k in {**below, **above}}
    return below if above is None else above


def _overlap(first: Any, second: Any) -> bool:
    """Whether two configurations set the same option."""
    if isinstance(first, dict) and isinstance(second, dict):
        return any(_overlap(first[k], second[k]) for k in first.keys() & second.keys())
    return True


def validate_config(model: type[Model], content: dict[str, Any], place: str) -> Model:
    """Check a configuration against its model.

    Args:
        model: A pydantic model.
        content: The configuration.
        place: Where it stands, for messages.

    Raises:
        MixlingError: It has a line for each wrong field.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise MixlingError("\n".join(_explain(model, place, e) for e in error.errors())) from None


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        MixlingError: The file does not exist or is not TOML.
    """
    if not path.is_file():
        raise MixlingError(
            f"{path}: the file does not exist. Write a configuration with at least: [data] "
            'sources = ["sample"]'
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise MixlingError(
            f"{path}: the file is not TOML ({error}). Put strings in quotes, and names of tables "
            "in [brackets]."
        ) from None


def _explain(model: type[BaseModel], place: str, error: Any) -> str:
    """Say in one line what is wrong with a field."""
    field = ".".join(str(p) for p in error["loc"])
    if error["type"] == "missing":
        return f"{place}: {field} must be given."
    if error["type"] == "extra_forbidden":
        options = _fields(model, error["loc"])
        return f"{place}: {field} is not an option. The options of this table are: {options}"
    value = repr(error["input"])
    if len(value) > 80:
        value = value[:77] + "..."
    message = error["msg"].removeprefix("Value error, ").replace("Input should", "The value should")
    return f"{place}: {field} is {value}. {message[0].upper()}{message[1:]}."


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Return the fields of the table that holds a location."""
    table: Any = model
    for name in location[:-1]:
        if isinstance(name, int):
            continue
        field = table.model_fields.get(name)
        types = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        tables = [t for t in types if isinstance(t, type) and issubclass(t, BaseModel)]
        if not tables:
            break
        table = tables[0]
    return ", ".join(table.model_fields)
