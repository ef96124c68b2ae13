"""What a folder's work was made of, by hash, so that it is not gone on with, or taken as done, after that has changed."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from mixling.corpora.files import write_text
from mixling.errors import MixlingError
from mixling.machine import library_versions

INPUTS_FILE = "inputs.json"
# versions that a result depends on; another one is said, since no run can be finished with the old
SAID = ("mixling", "torch", "transformers")


def check_unchanged(
    folder: Path,
    inputs: dict[str, str],
    new: bool,
    before: dict[str, str] | None = None,
    fix: str = "",
) -> None:
    """See that a job in a folder reads what it was begun with.

    Args:
        folder: Where `inputs.json` is kept; it is written where it is not there yet.
        inputs: What the job reads, by a name that people know, and the hash of each.
        new: Whether the job begins. One of an earlier version, which kept no hashes, goes on, and one line says so.
        before: Hashes that an earlier version kept elsewhere.
        fix: What to do where something has changed.

    Raises:
        MixlingError: It names everything that has changed.
    """
    path, now = folder / INPUTS_FILE, library_versions()
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known: dict[str, str] = {**(before or {}), **kept.get("inputs", {})}
    of = kept.get("versions", now)
    other = [f"{k} {of.get(k)}, now {now.get(k)}" for k in SAID if of.get(k) != now.get(k)]
    if other:
        _say(folder, f"was begun with {'; '.join(other)}")
    wrong = [
        f"{k} (was {known[k][:12]}, is {v[:12]})" for k, v in inputs.items() if known.get(k, v) != v
    ]
    if wrong:
        raise MixlingError(
            f"{folder}: was begun with something else: {', '.join(wrong)}; "
            + (
                fix
                or "choose another --out, remove the folder, or bring back what it was begun with"
            )
        )
    lacking = [k for k in inputs if k not in known]
    if lacking and not new and not kept:
        _say(
            folder,
            f"was begun before hashes were kept, so whether {', '.join(lacking)} changed is not known",
        )
    if lacking:
        whole = {"inputs": {**known, **inputs}, "versions": of}
        write_text(path, json.dumps(whole, indent=1, ensure_ascii=False))


def hash_model_files(folder: str) -> str:
    """SHA-256 of a model folder's files but its README; of the name where it is none."""
    found, path = (
        hashlib.sha256(folder.encode() if not Path(folder).is_dir() else b""),
        Path(folder),
    )
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name != "README.md"):
        found.update(file.relative_to(path).as_posix().encode())
        found.update(hash_file(file).encode())
    return found.hexdigest()


def hash_file(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _say(folder: Path, what: str) -> None:
    print(f"mixling: {folder}: {what}", file=sys.stderr)
