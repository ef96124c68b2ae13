"""Check published sources where they are published: commits, files, sizes and the first rows.

`mixling data check` calls this. It downloads the beginning of a file of each form, not the files.
A gated data set that this user may not read is listed and not read.
"""

from __future__ import annotations

import gzip
import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Literal

from mixling.corpora import hub_files
from mixling.corpora.downloads import check_address, file_size
from mixling.corpora.fetch import select_files
from mixling.corpora.packages import find_package
from mixling.corpora.published_files import matches
from mixling.corpora.source import Download, Files, Repository, Source, is_needed
from mixling.errors import MixlingError

N_ROWS = 3
_BLOCK = 1 << 17  # bytes of a request
_MAX_JSON = 32 << 20  # bytes of a JSON file that is read whole

Status = Literal["ok", "gated", "failed", "not fetched"]


@dataclass(frozen=True)
class SourceCheck:
    """The result of the check of one source.

    Args:
        name: The source.
        status: "ok"; "gated": its files are listed, and this user may not read them; "failed";
            "not fetched": a user gets it by hand.
        findings: Lines on what was found, the failures first.
    """

    name: str
    status: Status
    findings: tuple[str, ...]


def check_source(source: Source) -> SourceCheck:
    """Check a source where it is published.

    Args:
        source: The source.

    Returns:
        What was found. A failure is a finding and raises no error.
    """
    if not source.is_fetched:
        status: Status = "ok" if source.folder_name is None else "not fetched"
        return SourceCheck(source.name, status, (source.how_to_get,))
    failures, gates, findings = list[str](), list[str](), list[str]()
    for repository in source.repositories:
        try:
            findings += _check_repository(repository, source, gates)
        except MixlingError as error:
            failures.append(str(error))
    for download in source.downloads:
        try:
            findings.append(_check_download(download))
        except (OSError, ValueError) as error:
            failures.append(f"{download.address}: {error}")
    for packages in source.packages:
        try:
            names = packages.names(None)
            findings += [f"{packages.manager}: {find_package(packages, x)}" for x in names]
        except MixlingError as error:
            failures.append(f"{source.name}: {error}")
    status = "failed" if failures else "gated" if gates else "ok"
    return SourceCheck(source.name, status, (*failures, *gates, *findings))


def _check_repository(repository: Repository, source: Source, gates: list[str]) -> list[str]:
    """Check a data set of the hub; gates that are closed are appended to `gates`."""
    commit, files = hub_files.list_repository(repository, source, repository.revision)
    where = f"hub {repository.name} at {commit}"
    forms: dict[tuple[str, tuple[str, ...]], Files] = {}
    selected: dict[str, int] = {}
    for split in source.splits:
        if not is_needed(repository, split):
            continue
        needed = repository.files(split, None)
        selected.update(select_files(files, needed, f"{source.name}:{split}", where))
        for form in needed:
            forms.setdefault((form.pattern.rpartition(".")[2], form.fields), form)
    pinned = "pinned" if repository.revision else "not pinned"
    findings = [f"{where} ({pinned}): {len(selected)} files, {file_size(sum(selected.values()))}"]
    for form in forms.values():
        path, size = min(
            ((p, s) for p, s in files.items() if matches(p, form.pattern)), key=lambda x: x[1]
        )
        try:
            findings.append(_check_rows(repository.name, commit, path, size, form))
        except MixlingError:
            raise
        except Exception as error:
            failure = hub_files.hub_error(error, repository, source, [form], commit)
            if not isinstance(failure, hub_files.GatedError):
                raise failure from None
            gates.append(str(failure))
            break
    return findings


def _check_rows(repository: str, commit: str, path: str, size: int, form: Files) -> str:
    """Read the first rows of a file of the hub and check their fields."""
    from huggingface_hub import HfFileSystem, constants

    system = HfFileSystem(
        endpoint=constants.ENDPOINT, skip_instance_cache=True, use_listings_cache=False
    )
    place = f"datasets/{repository}@{commit}/{path}"
    with system.open(place, "rb", block_size=_BLOCK, cache_type="readahead") as file:
        rows = list(islice(iter_first_rows(file, path, size), N_ROWS))
    if not rows:
        raise MixlingError(f"{repository}: {path} has no row. The publication has changed.")
    for row in rows:
        missing = [f for f in form.fields if f not in row]
        if missing:
            raise MixlingError(
                f"{repository}: {path} has rows without {', '.join(missing)}; their fields are "
                f"{', '.join(row)}. The publication has changed."
            )
    return f"{path}: rows have {', '.join(rows[0])}"


def iter_first_rows(file: IO[bytes], path: str, size: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file from its beginning, reading no more than they need.

    Args:
        file: The open file; a Parquet file must allow to seek.
        path: Its name, whose suffix tells its form.
        size: Its size in bytes.

    Yields:
        Each row's fields. A table without a header has the numbers of its columns as fields: a
        first row whose second cell reads like a name of a column is a header.

    Raises:
        MixlingError: The file has another form.
    """
    name = path.removesuffix(".gz")
    raw: IO[bytes] = gzip.GzipFile(fileobj=file) if path.endswith(".gz") else file  # type: ignore[assignment]
    if name.endswith((".jsonl", ".ndjson")):
        for line in raw:
            if line.strip():
                yield json.loads(line)
    elif name.endswith(".parquet"):
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(file).iter_batches(N_ROWS):
            yield from batch.to_pylist()
    elif name.endswith(".json"):
        if size > _MAX_JSON:
            raise MixlingError(
                f"{path}: the file holds {file_size(size)} of JSON, which is too much to check; "
                f"at most {file_size(_MAX_JSON)} are read."
            )
        content = json.loads(raw.read())
        yield from content if isinstance(content, list) else [content]
    elif name.endswith((".tsv", ".txt")):
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
        cells = (line.rstrip("\r\n").split("\t") for line in text)
        first = next(cells, [])
        header = [c.strip() for c in first]
        if not all(c.replace("_", "").replace("-", "").isalpha() for c in header):
            header = [str(i) for i in range(len(first))]
            yield dict(zip(header, first, strict=True))
        for row in cells:
            yield dict(zip(header, row, strict=False))
    else:
        raise MixlingError(
            f"{path}: files of this format cannot be checked. Expected .jsonl, .parquet, .json, "
            ".tsv or .txt."
        )


def _check_download(download: Download) -> str:
    """Ask a publisher's server for the first bytes of a file; raise OSError if it has none."""
    check_address(download.address)
    request = urllib.request.Request(
        download.address, headers={"User-Agent": "mixling", "Range": "bytes=0-3"}
    )
    try:
        with urllib.request.urlopen(request, timeout=hub_files.TIMEOUT) as response:
            response.read(4)
            whole = response.headers.get("Content-Range") or ""
            size = whole.rpartition("/")[2] if response.status == 206 else None
            size = size or response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise OSError(f"status {error.code}") from None
    checksum = download.sha256 or download.content or download.md5
    known = "checksum known" if checksum else "no checksum known"
    length = file_size(int(size)) if size and size.isdigit() else "size unknown"
    return f"{download.address}: {length}, {known}"
