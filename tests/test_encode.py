"""`mixling encode`: any file, any part, killed and resumed; workers of a cluster."""

import json
import subprocess
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixling
from mixling.corpora.text_file import open_text_file
from mixling.encoding.read_vectors import list_shards, load_vectors
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever


def rows(n):
    return [
        {
            "_id": f"d{i}",
            "text": f"Habari {i} " + "ya asubuhi " * (i % 9),
            "language": "sw" if i % 2 else "en",
        }
        for i in range(n)
    ]


def write(path, records):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=7)
    else:
        path.write_text("\n".join(r["text"] for r in records))
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.txt"])
def test_vectors_are_those_of_the_model_in_the_files_order(chain, tmp_path, name):
    records = rows(53)
    path = write(tmp_path / name, records)
    manifest = mixling.encode(str(chain), path, tmp_path / "out", precision="fp32", shard=10)
    ids, vectors = load_vectors(tmp_path / "out")
    expected = Retriever(str(chain)).encode([r["text"] for r in records], "passage")
    assert np.abs(vectors - expected).max() < 1e-6
    assert ids == ([r["_id"] for r in records] if name != "a.txt" else [str(i) for i in range(53)])
    content = json.loads(manifest.read_text())
    assert content["rows"] == 53 and [s["rows"] for s in content["shards"]] == [10] * 5 + [3]
    assert content["precision"] == "fp32" and content["versions"]["torch"]
    table = next(list_shards(tmp_path / "out"))
    assert set(table["role"].to_pylist()) == {"passage"}
    if name != "a.txt":
        assert table["language"].to_pylist() == [r["language"] for r in records[:10]]


def test_every_shard_can_be_read_alone(tmp_path):
    for name in ("a.jsonl", "a.parquet", "a.txt"):
        records = rows(23)
        file = open_text_file(write(tmp_path / name, records), 5)
        assert file.n_shards == 5 and file.n_texts == 23
        parts = [file.read_shard(i) for i in (4, 0, 2, 1, 3)]
        assert sorted(t for _, texts, _ in parts for t in texts) == sorted(
            r["text"] for r in records
        )


def test_half_precision_is_stored_in_half_the_bytes(chain, tmp_path):
    path = write(tmp_path / "a.jsonl", rows(400))
    for dtype in ("float32", "float16"):
        mixling.encode(str(chain), path, tmp_path / dtype, precision="fp32", dtype=dtype)
    single, half = load_vectors(tmp_path / "float32")[1], load_vectors(tmp_path / "float16")[1]
    assert np.abs(single - half).max() < 1e-3
    size = [(tmp_path / d / "shard-00000.parquet").stat().st_size for d in ("float32", "float16")]
    assert size[1] < 0.65 * size[0]


CODE = """
import sys, time
import mixling
from mixling.encoding import shards
mixling.encode(*sys.argv[1:4], precision="fp32", shard=20,
               on_shard=lambda n: (print(n, flush=True), time.sleep(0.05)))
"""


@pytest.mark.slow
def test_a_killed_run_resumes_and_nothing_is_lost_or_repeated(chain, tmp_path, forks):
    path = write(tmp_path / "a.jsonl", rows(205))
    command = [CODE, chain, path, tmp_path / "out"]
    shards = []
    for _ in range(3):
        with forks.start(*command, stdout=subprocess.PIPE) as process:
            shards.append(process.stdout.readline().strip())
            time.sleep(0.02)
            process.kill()
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(MixlingError, match="not finished"):
        load_vectors(tmp_path / "out")
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("shard-*")}
    assert times and len(set(shards)) == 3
    # in this process, which orders sets in another way
    mixling.encode(str(chain), path, tmp_path / "out", precision="fp32", shard=20)
    assert all((tmp_path / "out" / n).stat().st_mtime_ns == t for n, t in times.items())
    ids, vectors = load_vectors(tmp_path / "out")
    assert ids == [f"d{i}" for i in range(205)]
    assert (
        np.abs(
            vectors - Retriever(str(chain)).encode([r["text"] for r in rows(205)], "passage")
        ).max()
        < 1e-6
    )


def test_parts_together_are_the_whole(chain, tmp_path):
    path = write(tmp_path / "a.jsonl", rows(70))
    for number in (2, 0, 1):
        assert not (tmp_path / "out" / "manifest.json").exists()
        mixling.encode(
            str(chain), path, tmp_path / "out", precision="fp32", shard=10, part=(number, 3)
        )
    assert load_vectors(tmp_path / "out")[0] == [f"d{i}" for i in range(70)]


def test_a_folder_made_otherwise_is_refused(chain, tmp_path):
    path = write(tmp_path / "a.jsonl", rows(5))
    mixling.encode(str(chain), path, tmp_path / "out", precision="fp32")
    for changed in ({"role": "query"}, {"dtype": "float16"}, {"precision": "bf16"}):
        with pytest.raises(MixlingError, match=r"made in another way: (role|dtype|precision) was"):
            mixling.encode(str(chain), path, tmp_path / "out", **{"precision": "fp32", **changed})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("x")
    with pytest.raises(MixlingError, match="not empty"):
        mixling.encode(str(chain), path, tmp_path / "other")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('{"text": "a"}\n{"text": 3}\n', ":2: field 'text': found 3"),
        ('{"text": "a"}\nno json\n', ":2: field 'text'"),
        ('{"text": "a"}\n[1]\n', ":2: field 'json'"),
        ("", "holds no texts"),
    ],
)
def test_a_bad_line_is_named(run, chain, tmp_path, content, where):
    (tmp_path / "a.jsonl").write_text(content)
    status, _, err = run(
        "encode", chain, tmp_path / "a.jsonl", "-o", tmp_path / "out", "--precision", "fp32"
    )
    assert status == 2 and where in err


def test_the_command_reports_what_it_wrote(run, chain, tmp_path):
    path = write(tmp_path / "a.txt", rows(12))
    status, out, err = run("encode", chain, path, "-o", tmp_path / "out")
    assert status == 0 and "12 vectors" in out
    status, _, err = run("encode", chain, path, "-o", tmp_path / "out2", "--part", "3/3")
    assert status == 2 and "--part" in err
    status, _, err = run("encode", chain, tmp_path / "none.txt", "-o", tmp_path / "out3")
    assert status == 2 and "the file does not exist" in err


def test_a_transform_is_fitted_on_what_was_encoded(chain, tmp_path):
    """`mixling debias` reads the vectors that `encode` stores."""
    from mixling.debiasing.embedded_corpus import read_embedded

    records = [{**r, "group": f"g{i // 2}"} for i, r in enumerate(rows(40))]
    path, both = write(tmp_path / "a.jsonl", records), tmp_path / "both"
    both.mkdir()
    for role in ("query", "passage"):
        mixling.encode(str(chain), path, tmp_path / role, role=role, precision="fp32", shard=15)
        for shard in (tmp_path / role).glob("*.parquet"):
            shard.rename(both / f"{role}-{shard.name}")
    corpus, files = read_embedded(both)
    assert len(files) == 6 and len(corpus.queries) == 40 and len(corpus.passages) >= 40


@pytest.mark.slow
def test_a_worker_of_the_cluster_that_is_killed_loses_nothing(chain, tmp_path):
    ray = pytest.importorskip("ray")
    import threading

    import psutil

    from mixling.encoding.cluster import encode_on_ray

    path = write(tmp_path / "a.jsonl", rows(640))
    killed = []

    def kill():
        deadline = time.time() + 120
        while time.time() < deadline and not killed:
            if len(list((tmp_path / "out").glob("shard-*"))) >= 4:
                for process in psutil.Process().children(recursive=True):
                    if "MapWorker" in " ".join(process.cmdline()):
                        process.kill()
                        killed.append(process.pid)
                        return
            time.sleep(0.005)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        encode_on_ray(str(chain), path, tmp_path / "out", workers=1, precision="fp32", shard=4)
    finally:
        ray.shutdown()
        thread.join()
    assert killed
    ids, vectors = load_vectors(tmp_path / "out")
    assert ids == [f"d{i}" for i in range(640)]
    assert (
        np.abs(
            vectors - Retriever(str(chain)).encode([r["text"] for r in rows(640)], "passage")
        ).max()
        < 1e-6
    )
