"""Makes a process as if Mixling were installed in it with one extra and nothing else.

Packages that neither Mixling nor that extra asks for, directly or through others, cannot be found
by an import.
"""

import importlib.metadata as metadata
import site
import sys
import tomllib
from importlib.machinery import PathFinder
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# the distributions of each module, which take seconds to be read
MODULES = {
    module: {canonicalize_name(d) for d in distributions}
    for module, distributions in metadata.packages_distributions().items()
}


def asked_for(
    name: str, extras: frozenset[str], found: set[tuple[str, frozenset[str]]]
) -> set[str]:
    """Names of a distribution and of all that it asks for here."""
    if (name, extras) in found:
        return set()
    found.add((name, extras))
    names = {name}
    try:
        requirements = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return names
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in extras or ("",)):
            names |= asked_for(
                canonicalize_name(requirement.name), frozenset(requirement.extras), found
            )
    return names


def hide_all_but(extra: str) -> None:
    """Make the imports of this process find what that installation would have.

    Args:
        extra: The extra's name, "" for none.
    """
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())[
        "project"
    ]
    there, seen = {"mixling"}, set()
    for line in [
        *project["dependencies"],
        *(project["optional-dependencies"][extra] if extra else ()),
    ]:
        requirement = Requirement(line)
        there |= asked_for(canonicalize_name(requirement.name), frozenset(requirement.extras), seen)
    imported = {name.partition(".")[0] for name in sys.modules}
    hidden = {x for x in imported & MODULES.keys() if not MODULES[x] & there}
    assert not hidden, f"imported before they were hidden: {hidden}"
    found = PathFinder.find_spec

    class Finder(PathFinder):
        @classmethod
        def find_spec(cls, fullname, path=None, target=None):
            of = MODULES.get(fullname.partition(".")[0], there)
            # a package may bring others of its own, in a folder that it adds to sys.path
            elsewhere = [p for p in sys.path if p not in site.getsitepackages()]
            return found(fullname, path if path is not None or of & there else elsewhere, target)

    sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
