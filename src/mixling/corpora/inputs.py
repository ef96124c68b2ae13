"""Hashes of the inputs of a job in a folder.

With them a job does not go on with, nor take as finished, a result whose inputs have changed since.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from mixling.corpora.files import write_text
from mixling.disk import read_object
from mixling.errors import MixlingError
from mixling.machine import library_versions

INPUTS_FILE = "inputs.json"
# Libraries whose versions a result depends on. Another version only warns: no run could be finished
# after an update otherwise.
_COMPARED_LIBRARIES = ("mixling", "torch", "transformers")

logger = logging.getLogger(__name__)


def check_unchanged(
    folder: Path,
    inputs: dict[str, str],
    is_new: bool,
    earlier_hashes: dict[str, str] | None = None,
    fix: str = "",
) -> None:
    """Check that a job in a folder reads the same inputs as when it began.

    Args:
        folder: The folder that holds `inputs.json`; the file is written if it is not there yet.
        inputs: The hash of each input that the job reads, by a name that users know.
        is_new: Whether the job begins now. A job of an earlier version, which kept no hashes, goes
            on with a warning.
        earlier_hashes: Hashes that an earlier version kept in another file.
        fix: What the user should do if an input has changed, for the error.

    Raises:
        MixlingError: Inputs have changed; the message names all of them.
    """
    path, versions = folder / INPUTS_FILE, library_versions()
    record = read_object(path) if path.exists() else {}
    hashes: dict[str, str] = {**(earlier_hashes or {}), **record.get("inputs", {})}
    first_versions = record.get("versions", versions)
    updated = [
        f"{library} {first_versions.get(library)}, now {versions.get(library)}"
        for library in _COMPARED_LIBRARIES
        if first_versions.get(library) != versions.get(library)
    ]
    if updated:
        logger.warning("%s: the job was begun with %s", folder, "; ".join(updated))
    changed = [
        f"{name} (was {hashes[name][:12]}, is {value[:12]})"
        for name, value in inputs.items()
        if hashes.get(name, value) != value
    ]
    if changed:
        fix = fix or "choose another --out, remove the folder, or restore the inputs of the job"
        raise MixlingError(
            f"{folder}: the job was begun with other inputs: {', '.join(changed)}. "
            f"{fix[0].upper()}{fix[1:]}."
        )
    unknown = [name for name in inputs if name not in hashes]
    if unknown and not is_new and not record:
        logger.warning(
            "%s: the job was begun before Mixling recorded hashes of inputs, so it is not known "
            "whether %s changed",
            folder,
            ", ".join(unknown),
        )
    if unknown:
        record = {"inputs": {**hashes, **inputs}, "versions": first_versions}
        write_text(path, json.dumps(record, indent=1, ensure_ascii=False))


def hash_model_files(model: str | Path) -> str:
    """Return a SHA-256 hash of the files of a model's folder, without its README.

    Args:
        model: The folder. Anything else is hashed as a name.

    Returns:
        The hash, hexadecimal.
    """
    folder = Path(model)
    digest = hashlib.sha256(b"" if folder.is_dir() else str(model).encode())
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "README.md"):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(hash_file(file).encode())
    return digest.hexdigest()


def hash_file(file: Path) -> str:
    """Return the SHA-256 hash of a file, hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
