"""Time and memory of an audit of a million stored vectors, and of smaller collections.

    MIXLING_RESULTS=benchmarks python -m benchmarks.audit

The vectors are random with an offset for each of five languages, 384 numbers, float16 in Parquet;
every text has translations. Each size runs in a process of its own, whose greatest memory counts.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixling.machine import library_versions, machine_info

SIZES = (20_000, 100_000, 1_000_000)
CODES, DIMENSIONS, WRITTEN = ("en", "de", "sw", "zh", "hi"), 384, 20_000


def write_collection(path: Path, n: int) -> None:
    """Write n vectors, 20,000 at a time."""
    rng = np.random.default_rng(0)
    offsets = 0.5 * rng.standard_normal((len(CODES), DIMENSIONS)).astype(np.float32)
    groups = WRITTEN // len(CODES)
    writer = None
    for begin in range(0, n, WRITTEN):
        content = rng.standard_normal((groups, DIMENSIONS), dtype=np.float32)
        noise = rng.standard_normal((len(CODES), groups, DIMENSIONS), dtype=np.float32)
        vectors = (content + 0.6 * noise + offsets[:, None]).reshape(-1).astype(np.float16)
        table = pa.table(
            {
                "id": [str(begin + i) for i in range(WRITTEN)],
                "language": [c for c in CODES for _ in range(groups)],
                "group": [f"{begin}-{i}" for _ in CODES for i in range(groups)],
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), DIMENSIONS),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def measure(path: Path) -> dict[str, float]:
    """Audit a file in this process."""
    from mixling.auditing.audit import audit

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.monotonic(), time.process_time()
    result = audit(path)
    return {
        "passages": result.passages,
        "seconds": round(time.monotonic() - start, 1),
        "seconds of processor": round(time.process_time() - cpu, 1),
        "MB before": before // 1000,
        "MB at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
    }


def main() -> None:
    """Measure each size."""
    if len(sys.argv) == 2:
        print(json.dumps(measure(Path(sys.argv[1]))))
        return
    rows = []
    for n in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vectors.parquet"
            write_collection(path, n)
            command = [sys.executable, "-m", "benchmarks.audit", str(path)]
            found = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(found.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    if folder_of_results := os.environ.get("MIXLING_RESULTS"):
        content = {"rows": rows, "machine": machine_info(), "versions": library_versions()}
        text = json.dumps(content, indent=1)
        (Path(folder_of_results) / "audit.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
