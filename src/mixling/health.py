"""What this machine has for Mixling, in lines for people."""

from __future__ import annotations

from importlib import metadata

from packaging.markers import Marker
from packaging.requirements import Requirement

from mixling.corpora.catalog import SOURCES, data_folders, find_source
from mixling.machine import cache_folder, has_bf16, library_versions, machine_info, matrix_rate
from mixling.models.weights import DEFAULT, in_hub_cache, wheel_model_folder

# what each optional part of the installation is for
PURPOSE = {
    "benchmarks": "BM25, noise, mteb, ir_datasets",
    "docs": "the docs site",
    "export": "ONNX",
    "langchain": "LangChain",
    "language": "maps by language",
    "llama-index": "LlamaIndex",
    "lora": "adapters in training",
    "milvus": "a Milvus server as store",
    "openvino": "OpenVINO",
    "scale": "encoding on a Ray cluster",
    "search": "index and search",
    "serve": "the server",
    "trackers": "watching a training",
    "translate": "translate",
}


def doctor() -> list[str]:
    """Cores, instruction sets, bf16, GPU, memory, caches, data, and what is missing with its pip line."""
    m, rate = machine_info(), matrix_rate()
    lines = [
        f"processor      {m['processor']}, {m['cores']} cores, {m['threads']} threads, {m['memory_gib']} GiB",
        f"instructions   {' '.join(m['instructions']) or 'none that matter here'}",
        f"bf16           {'yes: training uses it' if has_bf16() else 'no: everything runs in fp32'}",
        f"matrix rate    fp32 {rate['fp32']:.0f} GFLOP/s, bf16 {rate['bf16']:.0f} GFLOP/s",
        f"GPU            {m['gpu'] or 'none'}",
        f"versions       {', '.join(f'{k} {v}' for k, v in library_versions().items())}",
        f"cache          {cache_folder()} ({'holds' if wheel_model_folder().is_dir() else 'without'} "
        f"the wheel's {DEFAULT}); hub's cache {'has' if in_hub_cache(DEFAULT) else 'lacks'} it",
        f"data           in {', '.join(str(r) for r in data_folders())}: {', '.join(n for n in SOURCES if find_source(n))}; "
        "the rest: mixling data list",
    ]
    return lines + missing_extras()


def missing_extras() -> list[str]:
    """A line for each optional part of the installation that is not all here."""
    lines = []
    needed = [Requirement(line) for line in metadata.requires("mixling") or []]
    for extra in metadata.metadata("mixling").get_all("Provides-Extra") or []:
        mine = [r.name for r in needed if r.marker and _only_with(r.marker, extra)]
        absent = [name for name in mine if not _installed(name)]
        if absent and extra != "dev":
            lines.append(
                f"missing        {', '.join(absent)}, for {PURPOSE[extra]}: pip install 'mixling[{extra}]'"
            )
    return lines


def _only_with(marker: Marker, extra: str) -> bool:
    return marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
