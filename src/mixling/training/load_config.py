"""A configuration read: TOML in, put over a recipe's, checked settings out."""

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
    """The recipes that come with the package, settings that development data chose (docs/decisions.md)."""
    return sorted(p.stem for p in RECIPES.glob("*.toml"))


def load_config(config: str | Path | dict | Config | None, recipe: str | None = None) -> Config:
    """The settings of a TOML file (or a dictionary), over those of a recipe if one is named; None: the recipe's alone.
    Raises MixlingError naming file, field, what was expected."""
    if isinstance(config, Config):
        return config
    where, mine = "configuration", config
    if mine is None:
        where, mine = f"recipe {recipe}", {}
    elif not isinstance(mine, dict):
        where, mine = str(mine), read_toml(Path(mine))
    if recipe is not None:
        of_recipe = read_toml(RECIPES / f"{choose(recipe, recipes(), 'recipe')}.toml")
        if any(_shared(run, mine) for run in of_recipe.get("soup", [])):
            del of_recipe["soup"]  # its runs differ in what this configuration settles
        mine = _over(of_recipe, mine)
    settings = validate_config(Config, mine, where)
    ingredients(settings, where)
    return settings


def ingredients(settings: Config, where: str = "configuration") -> list[Config]:
    """The runs of a soup, each as a run of its own; none where there is no soup. What comes after the averaging (the base's share, a map
    fitted afterwards) is none of theirs. Raises MixlingError where they could not be averaged."""
    whole, runs = settings.model_dump(mode="json", exclude={"soup"}), []
    for n, tables in enumerate(settings.soup, 1):
        run = validate_config(Config, _over(whole, tables), f"{where}: soup, run {n}")
        same = {"soup": "soup" not in tables, "data": run.data == settings.data, "training.average_with_base": run.training.average_with_base == settings.training.average_with_base,
                "model": run.model.model_copy(update={"lora": None}) == settings.model.model_copy(update={"lora": None})}  # fmt: skip
        if not all(same.values()):
            wrong = ", ".join(k for k, v in same.items() if not v)
            raise MixlingError(
                f"{where}: soup, run {n}: {wrong} must be that of all runs; a run has its own batches, objective, training and model.lora"
            )
        training = run.training.model_copy(update={"average_with_base": 0.0})
        model = run.model
        if model.transform is not None and model.transform.when == "after":
            model = model.model_copy(update={"map": None})
        runs.append(run.model_copy(update={"training": training, "model": model}))
    return runs


def migrate_config(run: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run as an earlier version wrote them, with those that have been added since at their defaults."""
    try:
        return Config.model_validate(run).model_dump(mode="json")
    except ValidationError:
        return run


def _over(below: Any, above: Any) -> Any:
    """Settings with others over them, table by table; a list is replaced as a whole."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {k: _over(below.get(k), above.get(k)) for k in {**below, **above}}
    return below if above is None else above


def _shared(one: Any, other: Any) -> bool:
    """Whether two tables give one and the same setting."""
    if isinstance(one, dict) and isinstance(other, dict):
        return any(_shared(one[k], other[k]) for k in one.keys() & other.keys())
    return True


def validate_config(model: type[Model], content: dict, where: str) -> Model:
    """`content` as a model; else a MixlingError with a line for each wrong field."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise MixlingError("\n".join(_sentence(model, where, e) for e in error.errors())) from None


def read_toml(path: Path) -> dict:
    """A TOML file's content."""
    if not path.is_file():
        raise MixlingError(f'{path}: no such file; write at least: [data] sources = ["sample"]')
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise MixlingError(
            f"{path}: not TOML ({error}); strings stand in quotes, tables in [brackets]"
        ) from None


def _sentence(model: type[BaseModel], where: str, error: Any) -> str:
    field = ".".join(str(p) for p in error["loc"])
    found = (
        "" if error["type"] in ("missing", "extra_forbidden") else f" (found {error['input']!r})"
    )
    fix = {
        "missing": "must be given",
        "extra_forbidden": f"is no setting; those of this table: {_fields(model, error['loc'])}",
    }
    return f"{where}: {field}: {fix.get(error['type'], error['msg'])}{found}"


def _fields(model: type[BaseModel], location: tuple) -> str:
    part: Any = model
    for name in location[:-1]:
        if isinstance(name, int):
            continue
        found = part.model_fields.get(name)
        inner = [
            a
            for a in (
                [found.annotation, *getattr(found.annotation, "__args__", ())] if found else []
            )
            if isinstance(a, type) and issubclass(a, BaseModel)
        ]
        if not inner:
            break
        part = inner[0]
    return ", ".join(part.model_fields)
