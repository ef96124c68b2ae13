"""Exports a model for other servers, or a store for other stores."""

from __future__ import annotations

from pathlib import Path

from mixling.errors import MixlingError
from mixling.searching.parquet import export_store
from mixling.searching.reports import ExportReport
from mixling.searching.stores import is_store


def export(
    source: str, out: str | Path, *, openvino: bool = False, trust_remote_code: bool = False
) -> ExportReport:
    """Write a model as ONNX, with pooling and transform inside, or a store as a Parquet file.

    `index` puts such a Parquet file into another store.

    Args:
        source: A model (folder or hub name) or a store (folder, or milvus://host:port/name).
        out: The folder of a model, or the .parquet file of a store.
        openvino: Write a model in OpenVINO's format too.
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
        if openvino:
            raise MixlingError(
                f"{source}: this is a store, and --openvino is for models only. Leave it out."
            )
        return ExportReport(Path(out), passages=export_store(source, out))
    from mixling.models.onnx import export_onnx

    differences = export_onnx(source, out, openvino=openvino, trust_remote_code=trust_remote_code)
    return ExportReport(Path(out), differences=differences)
