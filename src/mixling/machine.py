"""Description of this machine, recorded with every result and shown by `mixling doctor`."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# instruction sets that speed up matrix products
_FAST = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "i8mm")


@cache
def cpu_flags() -> frozenset[str]:
    """Return the instruction sets that speed up Mixling, as the system names them."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return frozenset()
    line = next(
        (x for x in info.read_text().splitlines() if x.startswith(("flags", "Features"))), ""
    )
    return frozenset(line.split()) & frozenset(_FAST)


def has_bf16() -> bool:
    """Return whether the processor has instructions for bf16."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & cpu_flags())


def has_fast_bf16() -> bool:
    """Return whether the processor encodes faster in bf16 than in fp32.

    AMX does, ARM's bf16 does, and so does AMD's avx512_bf16. Intel's avx512_bf16 without AMX runs
    at 0.56 to 0.66 of the speed of fp32 (measured with multilingual-e5-small).
    """
    flags = cpu_flags()
    return bool({"amx_bf16", "bf16"} & flags) or ("avx512_bf16" in flags and not _is_intel())


@cache
def _is_intel() -> bool:
    info = Path("/proc/cpuinfo")
    return info.exists() and "GenuineIntel" in info.read_text()


def machine_info() -> dict[str, Any]:
    """Return this machine's processor, cores, threads, instruction sets, memory and GPU."""
    import torch

    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [x.split(":")[1].strip() for x in lines if x.startswith("model name")]
    else:
        names = [platform.processor()]
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
    """Return the versions of Python and of the libraries that a result depends on."""
    versions = {"python": platform.python_version()}
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
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return versions


def matrix_rate(seconds: float = 0.5) -> dict[str, float]:
    """Measure the speed of a matrix product, `[4096, 384]` by `[384, 1536]`.

    Timings are reported beside it: no encoder of this size can be faster.

    Args:
        seconds: How long to measure each precision.

    Returns:
        GFLOP/s by precision, "fp32" and "bf16".
    """
    import time

    import torch

    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = torch.randn(4096, 384).to(dtype), torch.randn(384, 1536).to(dtype)
        for _ in range(3):
            a @ b
        start_time, n = time.perf_counter(), 0
        while time.perf_counter() - start_time < seconds:
            a @ b
            n += 1
        rates[name] = round(2 * 4096 * 384 * 1536 * n / (time.perf_counter() - start_time) / 1e9, 1)
    return rates


@cache
def keep_freed_memory() -> bool:
    """Let this process reuse the memory that it frees instead of returning it to the system.

    torch returns large tensors one by one, and the system clears each new one page by page: this
    takes a sixth of a training step (docs/development/performance.md). Only glibc can be told so.

    Returns:
        Whether it was done.
    """
    import ctypes

    try:
        libc = ctypes.CDLL("libc.so.6")
        # M_MMAP_MAX: no allocation of its own for a large tensor; M_TRIM_THRESHOLD and M_TOP_PAD:
        # never shrink the heap, and grow it by 64 MiB
        return all([libc.mallopt(-4, 0), libc.mallopt(-1, 2**31 - 1), libc.mallopt(-2, 1 << 26)])
    except (OSError, AttributeError):
        return False


def cache_folder() -> Path:
    """Return Mixling's cache: MIXLING_CACHE, or `mixling` in the user's cache folder."""
    folder = os.environ.get("MIXLING_CACHE")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mixling"
