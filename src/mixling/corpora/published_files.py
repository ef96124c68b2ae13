"""Find the files of a publication in a folder, whatever tool put them there.

`hf download` and `snapshot_download` write a folder `.cache/huggingface` beside the files, with one
`*.metadata` for each of them. Hidden files and folders are never data and are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from mixling.errors import MixlingError

_METADATA = ".metadata"


def matches(path: str, pattern: str) -> bool:
    """Return whether a path has the form of a pattern.

    Args:
        path: A path with `/` between its parts.
        pattern: A pattern with as many parts; `*` matches within a part. A suffix `.gz` of either
            does not count.
    """
    parts, expected = (x.removesuffix(".gz").split("/") for x in (path, pattern))
    return len(parts) == len(expected) and all(map(fnmatchcase, parts, expected))


def find_published(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder whose paths end as a pattern says.

    Args:
        folder: The folder. The files may lie in folders below it, as they were published or not.
        pattern: The end of their paths, for instance `topics/topics.miracl-v1.0-sw-*.tsv`. `*`
            matches within a part. The files may be packed by gzip.

    Returns:
        The files in the order of their paths.

    Raises:
        MixlingError: The folder has two copies of a file.
    """
    depth = pattern.count("/") + 1
    found: dict[str, Path] = {}
    for path in iter_visible(folder):
        parts = path.relative_to(folder).parts
        tail = "/".join(parts[-depth:])
        if len(parts) < depth or not matches(tail, pattern):
            continue
        other = found.setdefault(tail.removesuffix(".gz"), path)
        if other != path:
            raise MixlingError(
                f"{folder}: the folder has both {other.relative_to(folder)} and "
                f"{path.relative_to(folder)}. Keep one of them, and remove the other."
            )
    return sorted(found.values())


def iter_visible(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in the order of their paths, without hidden files.

    Args:
        folder: The folder. Files and folders whose names begin with a dot are passed over, and
            so are the hub's `*.metadata` and macOS's `__MACOSX`.
    """
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for name in sorted(files):
            if not name.startswith(".") and not name.endswith(_METADATA):
                yield Path(place) / name


def hub_revisions(folder: Path) -> list[str]:
    """Return the commits of the hub from which the files of a folder came.

    Args:
        folder: A folder that `hf download --local-dir` may have written.

    Returns:
        The commits, sorted; [] where the folder does not tell.
    """
    commits = set()
    for path in folder.rglob(f".cache/huggingface/download/**/*{_METADATA}"):
        commit = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
        if len(commit) == 40 and all(c in "0123456789abcdef" for c in commit):
            commits.add(commit)
    return sorted(commits)
