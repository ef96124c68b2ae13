"""The verb `export`: a model for other servers, or a store for other stores."""

from __future__ import annotations

from pathlib import Path

from mixling.errors import MixlingError
from mixling.searching.parquet import export_store


def export(
    what: str, out: str | Path, *, openvino: bool = False, trust_remote_code: bool = False
) -> dict[str, float]:
    """A model (folder or hub name) as ONNX, pooling and map inside; a store as a Parquet file, which `index` takes back.

    out: a folder for a model, a .parquet file for a store; openvino: a model in OpenVINO's form too; trust_remote_code: as of
    Retriever. Returns {"onnx": largest
    difference of a vector's number from the model's own, "openvino": …}, or {"passages": how many}. Raises MixlingError.
    """
    if what.startswith("milvus://") or (Path(what) / "mixling.json").exists():
        if openvino:
            raise MixlingError(f"{what}: is a store; --openvino is for a model")
        return {"passages": export_store(what, out)}
    from mixling.models.onnx import export_onnx as as_onnx

    return as_onnx(what, out, openvino=openvino, trust_remote_code=trust_remote_code)
