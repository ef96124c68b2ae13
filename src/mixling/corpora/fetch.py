"""Fetch the files of published sources: from the hub, a publisher's address or a package manager.

Only the files that a split and its languages need are fetched. A fetch that was cut off goes on
where it stopped. What was fetched, with its commits and checksums, is recorded in the folder of the
source in the cache (`RECORD`) and goes into results.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import urllib.error
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from mixling.corpora import hub_files
from mixling.corpora.downloads import download_file, file_hash, file_size, stem, unpack
from mixling.corpora.packages import fetch_package
from mixling.corpora.published_files import matches
from mixling.corpora.source import (
    Download,
    Files,
    Languages,
    Packages,
    Repository,
    Source,
    is_needed,
    require_languages,
)
from mixling.disk import disk_message, new_file, one_writer
from mixling.errors import MixlingError
from mixling.machine import cache_folder
from mixling.progress import Progress

RECORD = ".fetched.json"
_LARGE = 1 << 30  # bytes, from which on a message says how to fetch less

logger = logging.getLogger(__name__)


def fetch_source(source: Source, split: str, languages: Languages) -> tuple[Path, dict[str, str]]:
    """Fetch the files of a source that a split and some languages need, unless they are here.

    Args:
        source: The source.
        split: The split.
        languages: The languages; None: all.

    Returns:
        The folder of the source in the cache, and what it was made of: the commit of each data set
        of the hub, the SHA-256 of each file of an address, and the file of each package.

    Raises:
        MixlingError: A file cannot be fetched, or is not the file that is expected. The message
            says how to get it by hand.
    """
    require_languages(source.name, languages, source.languages)  # before anything is fetched
    folder = cache_folder() / "data" / (source.folder_name or source.name)
    origin = {}
    with _lock(folder, source.name):
        for repository in source.repositories:
            if is_needed(repository, split):
                origin[f"hub:{repository.name}"] = _fetch_repository(
                    repository, source, folder, split, languages
                )
        for download in source.downloads:
            if is_needed(download, split):
                origin[download.address] = _fetch_download(download, source, folder)
        for packages in source.packages:
            if is_needed(packages, split):
                origin |= _fetch_packages(packages, source, folder, languages)
    return folder, origin


def _lock(folder: Path, name: str) -> AbstractContextManager[None]:
    """Keep other processes from fetching into a folder; into a read-only one nobody does."""
    if folder.is_dir() and not os.access(folder, os.W_OK):
        return nullcontext()
    return one_writer(folder, wait=True, name=name)


def select_files(
    files: Mapping[str, int], needed: Iterable[Files], name: str, place: str
) -> dict[str, int]:
    """Select the files of a listing.

    Args:
        files: Size of each file, by its path.
        needed: The files that are needed.
        name: The source, for the error.
        place: Where the files lie, for the error.

    Returns:
        Size of each file that is needed, by its path.

    Raises:
        MixlingError: Some of the files that are needed are not there.
    """
    selected = {}
    for form in needed:
        paths = [p for p in files if matches(p, form.pattern)]
        if not paths:
            visible = sorted(p for p in files if not p.startswith("."))
            raise MixlingError(
                f"{name}: {place} has no file {form.pattern}. Its files are: "
                f"{', '.join(visible[:8])}{' …' if len(visible) > 8 else ''}. The publication has "
                "changed, or lacks this split or language."
            )
        selected.update({p: files[p] for p in paths})
    return selected


def by_hand(source: Source) -> str:
    """Return how a user gets a source without this module."""
    return (
        f"get {source.how_to_get}, put it into a folder '{source.folder_name}', and set "
        "MIXLING_DATA to the folder above it"
    )


def _fetch_repository(
    repository: Repository, source: Source, folder: Path, split: str, languages: Languages
) -> str:
    """Fetch the files of a data set of the hub and return their commit."""
    needed = list(repository.files(split, languages))
    record = _read_record(folder)
    known = record["repositories"].get(repository.name, {})
    revision = repository.revision or known.get("revision")
    place = folder / repository.folder_name
    is_listed = bool(known) and known["revision"] == revision
    if is_listed:
        files = known["files"]
    else:
        revision, files = hub_files.list_repository(repository, source, revision, needed)
    where = f"hub {repository.name} at {revision[:8]}"
    selected = select_files(files, needed, source.name, where)
    if not is_listed:
        record["repositories"][repository.name] = {"revision": revision, "files": files}
        _write_record(folder, record)
    metadata = place / ".cache/huggingface/download"
    missing = {
        path: size
        for path, size in selected.items()
        if not hub_files.is_complete(place / path, size, metadata / f"{path}.metadata", revision)
    }
    if missing:
        _announce(source, where, len(missing), sum(missing.values()), place, languages)
        with Progress(f"fetching {source.name}") as progress:
            try:
                hub_files.download_files(repository.name, revision, missing, place, progress)
            except Exception as error:
                raise hub_files.hub_error(error, repository, source, needed, revision) from None
    return str(revision)


def _announce(
    source: Source, where: str, n_files: int, n_bytes: int, place: Path, languages: Languages
) -> None:
    """Log what is about to be fetched; raise MixlingError if the disk has no room for it."""
    free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free
    fewer = languages is None and len(source.languages) > 1
    hint = f"; {source.name}@{source.languages[0]} fetches one language" if fewer else ""
    if n_bytes > free:
        raise MixlingError(
            f"{source.name}: {file_size(n_bytes)} must be fetched from {where}, but {place} has "
            f"room for {file_size(free)} only{hint}. Make room, or set MIXLING_CACHE to a folder "
            "on a larger disk."
        )
    logger.info(
        "%s: fetching %d files (%s) from %s%s",
        source.name,
        n_files,
        file_size(n_bytes),
        where,
        hint if n_bytes > _LARGE else "",
    )


def _fetch_download(download: Download, source: Source, folder: Path) -> str:
    """Fetch a file of an address, check and unpack it, and return its SHA-256."""
    record = _read_record(folder)
    name = download.address.rpartition("/")[2]
    target = folder / (name if download.inside is None else stem(name))
    known = record["downloads"].get(download.address)
    if known and target.exists() and download.sha256 in (None, known):
        return str(known)
    hint = by_hand(source)
    packed = folder / f".{name}.incomplete"
    try:
        download_file(download.address, packed, source.name)
    except (OSError, ValueError) as error:  # an address of another scheme is a ValueError
        disk = disk_message(error)
        if disk is not None:
            raise MixlingError(f"{source.name}: {disk}") from None
        reason = f"status {error.code}" if isinstance(error, urllib.error.HTTPError) else error
        raise MixlingError(
            f"{source.name}: {download.address} cannot be fetched ({reason}). Try again, or {hint}."
        ) from None
    digest = file_hash(packed, "sha256")
    for kind, algorithm, expected in (
        ("SHA-256", "sha256", download.sha256),
        ("MD5", "md5", download.md5),
    ):
        if expected is None:
            continue
        found = digest if algorithm == "sha256" else file_hash(packed, algorithm)
        if found != expected:
            packed.unlink()
            raise MixlingError(
                f"{source.name}: {download.address} has {kind} {found}, expected {expected}. The "
                f"file was changed or damaged on the way. Try again, or {hint}."
            )
    if download.inside is None:
        with new_file(target, is_locked=True) as temporary:
            shutil.copyfile(packed, temporary)
    else:
        unpack(packed, name, download, target, f"{source.name}: {download.address}", hint)
    packed.unlink()
    record["downloads"][download.address] = digest
    _write_record(folder, record)
    return digest


def _fetch_packages(
    packages: Packages, source: Source, folder: Path, languages: Languages
) -> dict[str, str]:
    """Fetch and unpack the packages that some languages need; return the file of each.

    Where no language is named, a package without text is left out of several.
    """
    origin = {}
    with Progress(f"fetching {source.name}") as progress:
        names = list(packages.names(languages))
        for done, name in enumerate(names):
            record = _read_record(folder)
            target = folder / name.replace("@", "-").replace("/", "-")
            if name not in record["packages"] or not target.is_dir():
                may_be_empty = languages is None and len(names) > 1
                fetched = fetch_package(
                    packages, name, source.name, target, by_hand(source), may_be_empty
                )
                record["packages"][name] = fetched
                _write_record(folder, record)
            origin[f"{packages.manager}:{name}"] = record["packages"][name]
            progress(done + 1, len(names))
    return origin


def _read_record(folder: Path) -> dict[str, Any]:
    """Read the record of the files that were fetched into the folder of a source."""
    path = folder / RECORD
    empty: dict[str, Any] = {"repositories": {}, "downloads": {}, "packages": {}}
    if not path.is_file():
        return empty
    try:
        return {**empty, **json.loads(path.read_text(encoding="utf-8"))}
    except ValueError:
        raise MixlingError(
            f"{path}: the file is not JSON. Remove its folder, and Mixling fetches the data again."
        ) from None


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record of the files that were fetched into the folder of a source."""
    with new_file(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
