"""What this machine has for Mixling, in lines for people."""

from __future__ import annotations

import importlib.util

from mixling.corpora.catalogue import SOURCES, located, roots
from mixling.machine import cache_folder, has_bf16, machine, matrix_rate, versions
from mixling.models.weights import DEFAULT, in_hub_cache, unpacked


def doctor() -> list[str]:
    """Cores, instruction sets, bf16, GPU, memory, caches, data, and what is missing with its pip line."""
    m, rate = machine(), matrix_rate()
    lines = [
        f"processor      {m['processor']}, {m['cores']} cores, {m['threads']} threads, {m['memory_gib']} GiB",
        f"instructions   {' '.join(m['instructions']) or 'none that matter here'}",
        f"bf16           {'yes: training uses it' if has_bf16() else 'no: everything runs in fp32'}",
        f"matrix rate    fp32 {rate['fp32']:.0f} GFLOP/s, bf16 {rate['bf16']:.0f} GFLOP/s",
        f"GPU            {m['gpu'] or 'none'}",
        f"versions       {', '.join(f'{k} {v}' for k, v in versions().items())}",
        f"cache          {cache_folder()} ({'holds' if unpacked().is_dir() else 'without'} "
        f"the wheel's {DEFAULT}); hub's cache {'has' if in_hub_cache(DEFAULT) else 'lacks'} it",
        f"data           looked for in {', '.join(str(r) for r in roots())}: "
        + ", ".join(f"{n} {'yes' if located(n) else 'no'}" for n in SOURCES),
    ]
    benchmarks = "pip install 'mixling[benchmarks]'"
    extras = {
        "tensorboard": "pip install 'mixling[trackers]'",
        "peft": "pip install 'mixling[lora]'",
        "ray": "pip install 'mixling[scale]'",
        "lancedb": "pip install 'mixling[search]'",
        "fastapi": "pip install 'mixling[serve]'",
        "pymilvus": "pip install 'mixling[milvus]'",
        "sentencepiece": "pip install 'mixling[translate]'",
        "py3langid": "pip install 'mixling[language]'",
        **dict.fromkeys(("anyascii", "bm25s", "icu4py", "ir_datasets", "mteb"), benchmarks),
    }
    for name, line in extras.items():
        if importlib.util.find_spec(name) is None:
            lines.append(f"missing        {name} (only for its feature): {line}")
    return lines
