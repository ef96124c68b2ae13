"""Exports a model for other servers, or a store for other stores."""

from __future__ import annotations

from pathlib import Path

from mixling.errors import MixlingError
from mixling.searching.parquet import export_store
from mixling.searching.reports import ExportReport
from mixling.searching.stores import is_store


def export(
    source: str,
    out: str | Path,
    *,
    openvino: bool = False,
    adapter_rank: int | None = None,
    base: str | None = None,
    trust_remote_code: bool = False,
) -> ExportReport:
    """Write a model as ONNX or as an adapter, or a store as a Parquet file.

    ONNX has pooling and transform inside. An adapter (LoRA) is a trained model's difference from
    its base, some megabytes; sentence-transformers loads it where peft is installed.

    `index` puts such a Parquet file into another store.

    Args:
        source: A model (folder or hub name) or a store (folder, or milvus://host:port/name).
        out: The folder of a model, or the .parquet file of a store.
        openvino: Write a model in OpenVINO's format too.
        adapter_rank: Write a model as an adapter of this rank, and no ONNX.
        base: The model that the adapter is for. Default: what the model says that it was trained
            from.
        trust_remote_code: Run code that comes with the model; see `Retriever`.

    Returns:
        What was written.

    Raises:
        MixlingError: `out` exists already, or `source` cannot be exported.

    Example:
        ```python
        report = mixling.export("index", "index.parquet")
        print(report.passages)
        ```
    """
    if is_store(source):
        options = {"--openvino": openvino, "--adapter-rank": adapter_rank, "--base": base}
        given = next((name for name, value in options.items() if value), None)
        if given is not None:
            raise MixlingError(
                f"{source}: this is a store, and {given} is for models only. Leave it out."
            )
        return ExportReport(Path(out), passages=export_store(source, out))
    if adapter_rank is not None:
        from mixling.models.adapter import export_adapter

        if openvino:
            raise MixlingError("--openvino and --adapter-rank exclude each other. Leave one out.")
        adapter = export_adapter(
            source, out, adapter_rank, base=base, trust_remote_code=trust_remote_code
        )
        return ExportReport(Path(out), adapter=adapter)
    if base is not None:
        raise MixlingError("--base needs --adapter-rank: no other format has a base model.")
    from mixling.models.onnx import export_onnx

    differences = export_onnx(source, out, openvino=openvino, trust_remote_code=trust_remote_code)
    return ExportReport(Path(out), differences=differences)
