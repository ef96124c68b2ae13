"""What this machine is: recorded with every result, shown by `mixling doctor`."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_FAST = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "i8mm")


@cache
def cpu_flags() -> frozenset[str]:
    """Instruction sets that matter here, as the system names them."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return frozenset()
    line = next(
        (x for x in info.read_text().splitlines() if x.startswith(("flags", "Features"))), ""
    )
    return frozenset(line.split()) & frozenset(_FAST)


def has_bf16() -> bool:
    """Whether a processor multiplies bf16 natively (else bf16 is slower than fp32)."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & cpu_flags())


def machine_info() -> dict[str, Any]:
    """Processor, cores, instruction sets, memory, GPU."""
    import torch

    info = Path("/proc/cpuinfo")
    names = (
        [
            x.split(":")[1].strip()
            for x in info.read_text().splitlines()
            if x.startswith("model name")
        ]
        if (info.exists())
        else [platform.processor()]
    )
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    memory = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    )
    return {
        "processor": names[0] if names else "unknown",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": sorted(cpu_flags()),
        "memory_gib": round(memory / 2**30, 1),
        "gpu": gpu,
    }


def library_versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for name in (
        "mixling",
        "torch",
        "transformers",
        "sentence-transformers",
        "tokenizers",
        "numpy",
        "pyarrow",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def matrix_rate(seconds: float = 0.5) -> dict[str, float]:
    """GFLOP/s of a [4096 x 384] by [384 x 1536] product, fp32 and bf16: the floor that timings stand beside."""
    import time

    import torch

    rates = {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = torch.randn(4096, 384).to(kind), torch.randn(384, 1536).to(kind)
        for _ in range(3):
            a @ b
        begun, n = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            a @ b
            n += 1
        rates[name] = round(2 * 4096 * 384 * 1536 * n / (time.perf_counter() - begun) / 1e9, 1)
    return rates


@cache
def keep_freed_memory() -> bool:
    """Let this process keep what memory it has freed, instead of giving it back and asking for it anew.

    torch's large tensors are given back to the system one by one, and each new one is cleared page by page: a sixth of
    a training step (docs/performance.md). glibc alone (mallopt, M_MMAP_MAX 0, M_TRIM_THRESHOLD largest); True if done.
    """
    import ctypes

    try:
        libc = ctypes.CDLL("libc.so.6")
        return all([libc.mallopt(-4, 0), libc.mallopt(-1, 2**31 - 1), libc.mallopt(-2, 1 << 26)])
    except (OSError, AttributeError):
        return False


def cache_folder() -> Path:
    """Mixling's own cache: MIXLING_CACHE, or mixling in the user's cache folder."""
    own = os.environ.get("MIXLING_CACHE")
    return (
        Path(own)
        if own
        else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mixling"
    )
