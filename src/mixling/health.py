"""Reports on this machine: processor, caches, data, and missing packages."""

from __future__ import annotations

from importlib import metadata

from packaging.markers import Marker
from packaging.requirements import Requirement

from mixling.corpora.catalog import SOURCES, data_folders, find_source
from mixling.machine import cache_folder, has_fast_bf16, library_versions, machine_info, matrix_rate
from mixling.models.hub_cache import in_hub_cache
from mixling.models.weights import DEFAULT, wheel_model_folder
from mixling.threads import describe_threads

# the purpose of each optional part of the installation
PURPOSE = {
    "api": "embedding APIs",
    "benchmarks": "BM25, noise, mteb, ir_datasets",
    "chroma": "Chroma",
    "docs": "the docs site",
    "export": "ONNX",
    "langchain": "LangChain",
    "language": "transforms by language",
    "llama-index": "LlamaIndex",
    "lora": "adapters in training",
    "milvus": "a Milvus server as store",
    "openvino": "OpenVINO",
    "pgvector": "PostgreSQL with pgvector",
    "qdrant": "Qdrant",
    "scale": "encoding on a Ray cluster",
    "search": "index and search",
    "serve": "the server",
    "trackers": "watching a training",
    "translate": "translate",
}


def doctor() -> list[str]:
    """Describe this machine: processor, bf16, GPU, memory, versions, caches, data.

    Returns:
        Lines of text. The last ones name the optional packages that are missing, each with the
        command that installs them.

    Example:
        >>> for line in mixling.doctor():
        ...     print(line)
    """
    info, rate = machine_info(), matrix_rate()
    local_model = "holds" if wheel_model_folder().is_dir() else "without"
    hub_cache = "has" if in_hub_cache(DEFAULT) else "lacks"
    bf16 = "yes: precision auto uses it" if has_fast_bf16() else "no: auto takes fp32"
    lines = [
        f"processor      {info['processor']}, {info['cores']} processors, {info['memory_gib']} GiB",
        f"threads        {describe_threads()}",
        f"instructions   {' '.join(info['instructions']) or 'none that matter here'}",
        f"bf16           {bf16}",
        f"matrix rate    fp32 {rate['fp32']:.0f} GFLOP/s, bf16 {rate['bf16']:.0f} GFLOP/s",
        f"GPU            {info['gpu'] or 'none'}",
        f"versions       {', '.join(f'{k} {v}' for k, v in library_versions().items())}",
        f"cache          {cache_folder()} ({local_model} the wheel's {DEFAULT}); "
        f"hub's cache {hub_cache} it",
        f"data           in {', '.join(str(r) for r in data_folders())}: "
        f"{', '.join(n for n in SOURCES if find_source(n))}; the rest: mixling data list",
    ]
    return lines + missing_extras()


def missing_extras() -> list[str]:
    """Return a line for each optional part of the installation that is not complete."""
    lines = []
    needed = [Requirement(line) for line in metadata.requires("mixling") or []]
    for extra in metadata.metadata("mixling").get_all("Provides-Extra") or []:
        packages = [r.name for r in needed if r.marker and _only_with(r.marker, extra)]
        absent = [name for name in packages if not _installed(name)]
        if absent and extra != "dev":
            lines.append(
                f"missing        {', '.join(absent)}, for {PURPOSE[extra]}: "
                f"pip install 'mixling[{extra}]'"
            )
    return lines


def _only_with(marker: Marker, extra: str) -> bool:
    """Return whether a requirement holds with an extra and not without."""
    return marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
