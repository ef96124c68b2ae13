"""Files at the addresses of their publishers: download, check and unpack."""

from __future__ import annotations

import hashlib
import logging
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from mixling.corpora.published_files import iter_visible
from mixling.corpora.source import Download
from mixling.disk import new_folder
from mixling.errors import MixlingError
from mixling.progress import Progress

_CHUNK = 1 << 20  # bytes
_TIMEOUT = 30  # seconds without an answer
# unpacked bytes for each packed one at most; text seldom grows tenfold
_UNPACKED_BASE, _UNPACKED_RATIO = 8 << 20, 50
_PACKED = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")

logger = logging.getLogger(__name__)


def download_file(address: str, target: Path, name: str) -> None:
    """Download a file; go on where an earlier download was cut off.

    Args:
        address: Its address.
        target: The file to write; what it holds is the beginning of the file.
        name: The source, for progress.

    Raises:
        OSError: The server does not answer, or the connection ended early.
        ValueError: The address is none of the web.
    """
    have = target.stat().st_size if target.exists() else 0
    headers = {"User-Agent": "mixling", **({"Range": f"bytes={have}-"} if have else {})}
    request = urllib.request.Request(address, headers=headers)
    check_address(address)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:  # 416: nothing is left, or another file is there now
            raise
        target.unlink()
        return download_file(address, target, name)
    with response, Progress(f"fetching {name}") as progress:
        resumed = response.status == 206
        done = have if resumed else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        logger.info(
            "%s: fetching %s%s", name, address, f" ({file_size(total)})" if total > done else ""
        )
        with target.open("ab" if resumed else "wb") as out:
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                done += len(chunk)
                progress(done, max(total, done))
        if done < total:
            raise OSError(f"the connection ended after {done:,} of {total:,} bytes")


def check_address(address: str) -> None:
    """Check that an address may be asked.

    Args:
        address: The address.

    Raises:
        ValueError: It is none of the web.
        OSError: The user has forbidden the network (HF_HUB_OFFLINE).
    """
    from huggingface_hub import constants

    if not address.startswith(("https://", "http://")):
        raise ValueError("the address must begin with https:// or http://")
    if constants.HF_HUB_OFFLINE:
        raise OSError("HF_HUB_OFFLINE is set, so nothing is fetched")


def unpack(
    packed: Path, name: str, download: Download, target: Path, where: str, hint: str
) -> None:
    """Unpack the files of a packed file's folder into a new folder, and check them.

    Hidden files, links, and paths that lead out of the folder are left out. The caller holds the
    lock of the folder above the target.

    Args:
        packed: The packed file. It is removed if it cannot be used.
        name: Its name, whose suffix tells its form.
        download: The folder inside that is unpacked, and the SHA-256 of its contents.
        target: The folder to write.
        where: The source and the address, for errors.
        hint: How to get the files by hand, for errors.

    Raises:
        MixlingError: The file cannot be unpacked, unpacks to far more than text does, lacks the
            folder, or holds other contents.
    """
    inside = download.inside or ""
    limit = _UNPACKED_BASE + _UNPACKED_RATIO * packed.stat().st_size
    found = 0
    try:
        with new_folder(target, is_locked=True) as temporary:
            for path, content in _iter_members(packed, name):
                relative = below(path, inside)
                if relative is None:
                    continue
                place = temporary / relative
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as out:
                    while chunk := content.read(_CHUNK):
                        limit -= len(chunk)
                        if limit < 0:
                            raise MixlingError(
                                f"{where} unpacks to more than {_UNPACKED_RATIO} times its size, "
                                f"which no text does. {hint[0].upper()}{hint[1:]}."
                            )
                        out.write(chunk)
                found += 1
            if not found:
                raise MixlingError(
                    f"{where} has no folder '{inside}' any more. {hint[0].upper()}{hint[1:]}."
                )
            digest = content_hash(temporary)
            if download.content not in (None, digest):
                raise MixlingError(
                    f"{where}: its files together have the SHA-256 {digest}, expected "
                    f"{download.content}. The publication has changed. "
                    f"{hint[0].upper()}{hint[1:]}."
                )
    except MixlingError:
        packed.unlink()
        raise
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, RuntimeError) as error:
        packed.unlink()
        raise MixlingError(
            f"{where}: the file cannot be unpacked ({error}). {hint[0].upper()}{hint[1:]}."
        ) from None


def _iter_members(packed: Path, name: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the ordinary files of a zip or tar file: their paths, and their contents to read."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(packed) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as content:
                        yield info.filename, content
        return
    with tarfile.open(packed) as tar:
        for member in tar:
            extracted = tar.extractfile(member) if member.isreg() else None
            if extracted is not None:
                yield member.name, extracted


def below(path: str, inside: str) -> str | None:
    """Return a member's path below a folder; None if it lies elsewhere, is hidden or unsafe.

    Args:
        path: The path of a member of a packed file.
        inside: The folder in the packed file.
    """
    parts = PurePosixPath(path).parts
    prefix = PurePosixPath(inside).parts
    rest = parts[len(prefix) :]
    if parts[: len(prefix)] != prefix or not rest or "\\" in path or ":" in path:
        return None
    if any(p.startswith((".", "/")) or p == "__MACOSX" for p in rest):
        return None
    return "/".join(rest)


def stem(name: str) -> str:
    """Return the name of a packed file without its suffixes."""
    suffix = max((s for s in _PACKED if name.endswith(s)), key=len, default="")
    return name.removesuffix(suffix)


def file_hash(path: Path, algorithm: str) -> str:
    """Return the hash of a file's bytes as hexadecimal digits.

    Args:
        path: The file.
        algorithm: Its name in `hashlib`, such as "sha256" or "md5".
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def content_hash(folder: Path) -> str:
    """Return the SHA-256 of the paths and contents of a folder's files.

    Args:
        folder: The folder; hidden files do not count.

    Returns:
        The SHA-256 of the lines `<SHA-256 of the file>  <path>`, sorted by path.
    """
    lines = []
    for path in iter_visible(folder):
        lines.append((path.relative_to(folder).as_posix(), file_hash(path, "sha256")))
    text = "".join(f"{digest}  {path}\n" for path, digest in sorted(lines))
    return hashlib.sha256(text.encode()).hexdigest()


def file_size(n_bytes: float) -> str:
    """Format a number of bytes: 1234567 -> "1.2 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
