"""Input made to do harm: 200 generated cases.

None runs code, ends in a traceback, hangs for ten seconds or fills the memory.
"""

import contextlib
import gzip
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from mixling.corpora import folder
from mixling.corpora.catalog import load
from mixling.corpora.downloads import unpack
from mixling.corpora.source import Download
from mixling.debiasing.files import load_transform
from mixling.encoding.late import TokenIndex
from mixling.encoding.shards import encode
from mixling.encoding.vectors import encode_cached
from mixling.errors import MixlingError
from mixling.evaluation.benchmarks import load_task
from mixling.models.retriever import Retriever
from mixling.searching.index import index
from mixling.searching.query import Searcher
from mixling.serving.app import application
from mixling.serving.config import ServerConfig
from mixling.serving.keys import read_keys
from mixling.studies.plan import read_study
from mixling.training.load_config import load_config
from mixling.training.training_data import load_training_data

SECONDS, GROWTH, ADDRESSES = 10, 1 << 30, 8 << 30
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "socket.connect",
)
watched: list[str] | None = None


def _hook(event, arguments):
    if watched is not None and event in FORBIDDEN:
        watched.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_hook)


class Late(BaseException):
    """A case took too long; no `except` of the code under test catches this."""


class Bomb:
    """What a stranger's pickle holds: unpickled, it runs a command."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return exec, (f"open({str(self.canary)!r}, 'w').write('ran')",)


@contextlib.contextmanager
def guarded(canary):
    """Check what a case does: it ends well or in a MixlingError, in SECONDS, within GROWTH bytes.

    It starts no process.
    """
    global watched

    def late(*_):
        raise Late(f"more than {SECONDS} s")

    before, limits = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        resource.getrlimit(resource.RLIMIT_AS),
    )
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESSES, limits[1]))
    watched = []
    try:
        yield
    except MixlingError as error:
        assert str(error).strip()
    finally:
        started, watched = watched, None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert not canary.exists(), "code of the input ran"
    assert not started
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < GROWTH


ODD = (
    None,
    True,
    0,
    -1,
    2**63,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\x00",
    "../../etc/passwd",
    "/dev/zero",
    "\ud83d",
    "{{7*7}}",
    "<script>",
    "a" * 100_000,
    [],
    {},
    [[]],
    {"": None},
    [None],
    "__import__('os').system('true')",
)


def odd(rng):
    return rng.choice(ODD)


def mutated(value, rng):
    """A JSON value with one part made odd."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        if rng.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: mutated(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], mutated(value[at], rng), *value[at + 1 :]]
    return odd(rng)


def broken(raw: bytes, rng) -> bytes:
    """Bytes cut, turned, repeated or made deep."""
    raw = bytearray(raw)
    kind = rng.randrange(6)
    if kind == 0:
        return bytes(raw[: rng.randrange(len(raw) + 1)])
    if kind == 1:
        for _ in range(rng.randint(1, 20)):
            if raw:
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        return bytes(raw)
    if kind == 2:
        return b"[" * 100_000
    if kind == 3:
        return b"\xff\xfe" + bytes(raw)
    if kind == 4:
        return gzip.compress(bytes(raw))[: rng.randint(5, 60)]
    return b'{"a":' * 50_000


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8", errors="surrogatepass")


def rewrite(path, rng):
    """A JSON file with an odd part, or broken."""
    if rng.random() < 0.3:
        path.write_bytes(broken(path.read_bytes(), rng))
    else:
        write_json(path, mutated(json.loads(path.read_text()), rng))


# -- model folders


def code_file(place, canary):
    (place / "stranger.py").write_text(
        f"open({str(canary)!r}, 'w').write('ran')\n"
        "from transformers import BertConfig as C, BertModel as M\n"
        "from transformers import PreTrainedTokenizerFast as T\n"
    )


def auto_map(place, rng, canary):
    code_file(place, canary)
    name = rng.choice(
        [
            "config.json",
            "tokenizer_config.json",
            "preprocessor_config.json",
            "processor_config.json",
        ]
    )
    config = json.loads((place / name).read_text()) if (place / name).exists() else {}
    prefix = rng.choice(["", "owner/name--"])
    config["auto_map"] = {
        k: f"{prefix}stranger.{c}"
        for k, c in (
            ("AutoConfig", "C"),
            ("AutoModel", "M"),
            ("AutoTokenizer", "T"),
            ("AutoProcessor", "T"),
        )
    }
    if rng.random() < 0.7:
        config["model_type"] = config["tokenizer_class"] = config["processor_class"] = "Stranger"
    write_json(place / name, config)


def foreign_module(place, rng, canary):
    code_file(place, canary)
    chain = json.loads((place / "modules.json").read_text())
    kinds = [
        "stranger.M",
        "os.system",
        "builtins.exec",
        "mixling.models.language_transform.LanguageTransformModule",
        "mixling.errors.MixlingError",
        "sentence_transformers.base.model.torch",
        "sentence_transformers.base.sampler.pickle",
        "..stranger.M",
    ]
    chain[rng.randrange(len(chain))]["type"] = rng.choice(kinds)
    if rng.random() < 0.3:
        chain[-1]["path"] = rng.choice(["../../..", "/etc", "\x00"])
    write_json(place / "modules.json", chain)


def pickled(place, rng, canary):
    (place / "model.safetensors").unlink()
    raw = pickle.dumps(Bomb(canary))
    if rng.random() < 0.5:
        with zipfile.ZipFile(place / "pytorch_model.bin", "w") as out:
            out.writestr("archive/data.pkl", raw)
            out.writestr("archive/version", "3\n")
    else:
        (place / "pytorch_model.bin").write_bytes(raw)


def pickled_dense(place, rng, canary):
    (place / "3_Dense").mkdir()
    (place / "3_Dense" / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(canary)))
    activation = rng.choice(["os.system", "torch.hub.load", "torch.nn.Tanh", "stranger.M", 7])
    size = rng.choice([32, 10**6, -1])
    write_json(
        place / "3_Dense" / "config.json",
        {"in_features": 32, "out_features": size, "bias": True, "activation_function": activation},
    )
    if rng.random() < 0.5:
        (place / "3_Dense" / "model.safetensors").write_bytes(b"\x00" * 7)
    chain = json.loads((place / "modules.json").read_text())
    chain.append(
        {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    )
    write_json(place / "modules.json", chain)


def large(place, rng, canary):
    config = json.loads((place / "config.json").read_text())
    name = rng.choice(
        [
            "hidden_size",
            "num_hidden_layers",
            "vocab_size",
            "intermediate_size",
            "max_position_embeddings",
        ]
    )
    config[name] = rng.choice([10**6, 10**8, 10**10])
    if name == "hidden_size":
        config["num_attention_heads"] = 1
    write_json(place / "config.json", config)


def weights(place, rng, canary):
    raw = (place / "model.safetensors").read_bytes()
    heads = [b"\xff" * 8, (1 << 40).to_bytes(8, "little"), (len(raw)).to_bytes(8, "little"), b""]
    (place / "model.safetensors").write_bytes(
        rng.choice(heads) + rng.choice([raw[8:], raw[: rng.randrange(len(raw))]])
    )


def settings(place, rng, canary):
    names = [p for p in sorted(place.rglob("*.json")) if p.name != "tokenizer.json"]
    rewrite(rng.choice(names), rng)


def facts(place, rng, canary):
    name = rng.choice(
        ["origin.json", "scores.json", "adapter_config.json", "generation_config.json"]
    )
    value = {
        "base_model_name_or_path": "nobody/nothing",
        "peft_type": "LORA",
        "all": [0, 1],
        "pairs": {"de-en": [0, 1]},
        "megatron_config": {"a": 1},
        "megatron_core": "stranger",
        "custom_generate": "owner/name",
        "debiased": {"method": "lsar"},
    }
    code_file(place, canary)
    write_json(place / name, mutated(value, rng) if rng.random() < 0.7 else value)


def generate(place, rng, canary):
    (place / "custom_generate").mkdir()
    (place / "custom_generate" / "generate.py").write_text(
        f"open({str(canary)!r}, 'w').write('ran')\n"
    )
    (place / "chat_template.jinja").write_text(
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{% for i in range(10**9) %}x{% endfor %}"
    )


def special_file(place, rng, canary):
    path = place / rng.choice(
        [
            "config.json",
            "modules.json",
            "model.safetensors",
            "tokenizer.json",
            "origin.json",
            "README.md",
        ]
    )
    path.unlink(missing_ok=True)
    if rng.random() < 0.5:
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")


MODELS = (
    auto_map,
    foreign_module,
    pickled,
    pickled_dense,
    large,
    weights,
    settings,
    settings,
    facts,
    generate,
    special_file,
)


@pytest.mark.parametrize("n", range(44))
def test_model_folders(n, chain, tmp_path):
    rng, canary, place = random.Random(f"models {n}"), tmp_path / "ran", tmp_path / "model"
    shutil.copytree(chain, place)
    MODELS[n % len(MODELS)](place, rng, canary)
    if n % 3 == 0:  # as if the stranger's file could be imported
        sys.path.insert(0, str(place))
    try:
        with guarded(canary):
            Retriever(str(place), device="cpu").encode(["a bridge", "daraja"], "query")
        with guarded(canary):
            load_transform(str(place))
    finally:
        sys.path[:] = [p for p in sys.path if p != str(place)]


# -- stores


@pytest.fixture(scope="module")
def built(chain, tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    rows = [
        {"_id": str(i), "text": f"Bridge {i} stands over the river.", "language": "en", "n": i}
        for i in range(12)
    ]
    (root / "docs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    index(str(chain), root / "docs.jsonl", str(root / "store"), precision="fp32")
    from mixling.searching.parquet import export_store

    export_store(str(root / "store"), root / "unloaded.parquet")
    encode(str(chain), root / "docs.jsonl", root / "vectors", precision="fp32")
    return root


@pytest.fixture(scope="module")
def retriever(chain):
    return Retriever(str(chain), device="cpu")


@pytest.mark.parametrize("n", range(26))
def test_stores(n, built, retriever, tmp_path):
    rng, canary, place = random.Random(f"stores {n}"), tmp_path / "ran", tmp_path / "store"
    shutil.copytree(built / "store", place)
    if n % 2:
        rewrite(place / "mixling.json", rng)
    elif n % 4 == 0:
        files = [
            p
            for p in sorted(place.rglob("*"))
            if p.is_file() and p.stat().st_size and p.name != "mixling.json"
        ]
        path = rng.choice(files)
        path.write_bytes(broken(path.read_bytes(), rng))
    else:
        code = tmp_path / "stranger"
        shutil.copytree(retriever.name, code)
        MODELS[n % 4](code, rng, canary)
        about = json.loads((place / "mixling.json").read_text())
        about["model"] = rng.choice(
            [str(code), "nobody/nothing", "../stranger", "a b", "x" * 300, "http://127.0.0.1:9/x"]
        )
        write_json(place / "mixling.json", about)
    with guarded(canary):
        Searcher(str(place), retriever if n % 2 else None).search(
            "Which bridge?", 3, mode=rng.choice(["dense", "text", "both"])
        )
    with guarded(canary):
        index(retriever, built / "docs.jsonl", str(place), precision="fp32")


# -- Parquet


def odd_column(rng, rows):
    kinds = [
        pa.array([None] * rows),
        pa.array([[{"a": 1}]] * rows),
        pa.array([b"\xff\xfe"] * rows),
        pa.array([float("nan")] * rows),
        pa.array([2**63 - 1] * rows),
        pa.array(["\x00"] * rows),
        pa.array([True] * rows),
        pa.array(["x"] * rows).dictionary_encode(),
        pa.array([""] * rows),
        pa.array(["<script>alert(1)</script>"] * rows),
        pa.FixedSizeListArray.from_arrays(pa.array(np.full(3 * rows, np.inf, np.float32)), 3),
    ]
    return rng.choice(kinds)


@pytest.mark.parametrize("n", range(26))
def test_parquet(n, built, retriever, tmp_path):
    rng, canary = random.Random(f"parquet {n}"), tmp_path / "ran"
    source = built / (
        "unloaded.parquet"
        if n % 3 == 0
        else "vectors/shard-00000.parquet"
        if n % 3 == 1
        else "unloaded.parquet"
    )
    place = tmp_path / "corpus.parquet"
    if n % 2:
        place.write_bytes(broken(source.read_bytes(), rng))
    else:
        table = pq.read_table(source)
        about = table.schema.metadata or {}
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(table.num_columns)
            table = table.set_column(
                at, rng.choice([table.column_names[at], "text"]), odd_column(rng, table.num_rows)
            )
        if rng.random() < 0.5:
            about = {
                b"mixling": rng.choice([b"{", b"[]", b"\xff", b'{"model": 1}', *about.values()])
            }
        pq.write_table(table.replace_schema_metadata(about), place)
    with guarded(canary):
        index(retriever, place, str(tmp_path / "store"), precision="fp32")
    with guarded(canary):
        encode(retriever, place, tmp_path / "vectors", precision="fp32")
    with guarded(canary):
        shutil.copytree(built / "vectors", tmp_path / "made")
        shutil.copy(place, tmp_path / "made" / "shard-00000.parquet")
        index(
            retriever,
            built / "docs.jsonl",
            str(tmp_path / "other"),
            vectors=tmp_path / "made",
            precision="fp32",
        )


# -- archives


@pytest.mark.parametrize("n", range(14))
def test_archives(n, retriever, tmp_path, monkeypatch):
    rng, canary = random.Random(f"archives {n}"), tmp_path / "ran"
    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))
    outside = tmp_path / "outside"
    outside.mkdir()
    if n < 6:  # unpacked by name: nothing may lie outside
        name = rng.choice(
            ["../../../../outside/x", str(outside / "x"), "inside/../../../../../outside/x"]
        )
        if n % 2:
            with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
                out.writestr("inside/a", "a")
                out.writestr(name, "x")
            path = tmp_path / "a.zip"
        else:
            path = tmp_path / "a.tar"
            with tarfile.open(path, "w") as out:
                for one, kind, link in (
                    ("inside/a", tarfile.REGTYPE, ""),
                    (name, tarfile.REGTYPE, ""),
                    ("inside/l", tarfile.SYMTYPE, str(outside)),
                    ("inside/l/x", tarfile.REGTYPE, ""),
                ):
                    member = tarfile.TarInfo(one)
                    member.type, member.linkname, member.size = kind, link, 0 if link else 1
                    out.addfile(member, io.BytesIO(b"x"))
        download = Download(path.as_uri(), "inside" if n % 3 else "")
        with guarded(canary):
            unpack(path, path.name, download, tmp_path / "unpacked", "hostile", "get it by hand")
        assert not list(outside.iterdir())
        return
    # gzipped data that unpacks to gigabytes
    place = tmp_path / "data"
    (place / "qrels").mkdir(parents=True)
    row = json.dumps({"_id": "a", "text": "words", "language": "en", "group": "a"}) + "\n"
    for name, text in (
        ("corpus.jsonl", row),
        ("queries.jsonl", row),
        ("qrels/test.tsv", "a\ta\t1\n"),
    ):
        (place / name).write_text(text)
    kind = rng.choice(["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
    (place / kind).unlink()
    small = gzip.compress(
        (b"\n", b" ", b"\x00", row.encode())[n % 4] * (1 << 24 if n % 4 < 3 else 1 << 18), 9
    )
    (place / f"{kind}.gz").write_bytes(
        gzip.compress(row.encode() * 9000) + small * (256 if n % 4 < 3 else 100)
    )
    with guarded(canary):
        load(str(place))
    with guarded(canary):
        load_task(str(place))
    if "corpus" in kind:
        with guarded(canary):
            index(retriever, place, str(tmp_path / "store"), precision="fp32")


# -- HTTP


@pytest.fixture(scope="module")
def client(built):
    with TestClient(
        application(Searcher(str(built / "store")), ServerConfig(max_body_bytes=1 << 16)),
        raise_server_exceptions=False,
    ) as made:
        yield made


BODIES = (
    (
        "/v1/search",
        {
            "query": "Which bridge?",
            "k": 3,
            "languages": ["en"],
            "mode": "both",
            "order": "query-language-first",
            "query_language": "en",
            "quotas": {"en": 2},
            "highlight": True,
        },
    ),
    (
        "/v1/embeddings",
        {
            "input": ["one", "two"],
            "model": "m",
            "encoding_format": "base64",
            "input_type": "query",
            "dimensions": 32,
            "user": "u",
        },
    ),
)


@pytest.mark.parametrize("n", range(32))
def test_http(n, client, tmp_path):
    rng, canary = random.Random(f"http {n}"), tmp_path / "ran"
    path, body = BODIES[n % 2]
    with guarded(canary):
        begun = time.monotonic()
        if n % 6 == 5:
            words = [
                "x" * 5000,
                "%00",
                "..%2F..%2Fetc%2Fpasswd",
                "' OR 1=1 --",
                "%ff%fe",
                "'; DROP TABLE passages; --",
            ]
            answers = [client.get(f"/v1/document?id={w}") for w in words]
            answers += [client.get(f"/{w}") for w in words] + [client.request("PURGE", path)]
        elif n % 6 == 4:
            sent = json.dumps(body).encode()
            headers = [
                {
                    "content-type": "application/json",
                    "content-length": rng.choice(["-1", "1e9", "99999999999", "x"]),
                },
                {
                    "content-type": rng.choice(
                        ["text/plain", "application/xml", "multipart/form-data", ""]
                    )
                },
                {
                    "content-type": "application/json",
                    "content-encoding": "gzip",
                    "authorization": "Bearer \xff".encode("latin1"),
                },
            ]
            answers = [client.post(path, content=sent, headers=h) for h in headers]
            answers += [client.post(path, content=(b"x" * 4096 for _ in range(64)))]
        else:
            raws = [json.dumps(mutated(body, rng)).encode() for _ in range(6)]
            raws += [broken(json.dumps(body).encode(), rng)[: 1 << 16]]
            raws += [
                json.dumps(body)
                .replace('"Which', '"\\ud83d Which')
                .replace('"one', '"\\ud83d')
                .encode()
            ]
            answers = [
                client.post(path, content=r, headers={"content-type": "application/json"})
                for r in raws
            ]
        assert time.monotonic() - begun < SECONDS
        for answer in answers:
            assert answer.status_code < 500, (answer.request.content[:300], answer.text[:300])
            assert "Traceback" not in answer.text


# -- configuration files

TRAIN = {
    "model": {
        "name": "intfloat/multilingual-e5-small",
        "prompts": {"query": "q"},
        "max_query_length": 8,
        "lora": {"rank": 2},
    },
    "data": {
        "sources": [{"name": "sample", "weight": 1.0, "languages": ["en", "de"]}],
        "window": 100,
        "titles": False,
    },
    "batches": {
        "strategy": "hybrid",
        "alpha": 0.5,
        "size": 4,
        "seed": 1,
        "languages": "uniform",
        "negatives": 0,
    },
    "objective": {"name": "info-nce", "temperature": 0.05},
    "training": {"steps": 2, "lr": 1e-5},
}


def toml(value) -> str:
    """A value as TOML writes it, wrong ones too."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return "nan" if value is None or value != value else json.dumps(value)


@pytest.mark.parametrize("n", range(24))
def test_configurations(n, tmp_path):
    rng, canary, path = random.Random(f"configurations {n}"), tmp_path / "ran", tmp_path / "a.toml"
    made = mutated(TRAIN, rng)
    text = (
        "\n".join(f"{k} = {toml(v)}" for k, v in made.items())
        if isinstance(made, dict)
        else toml(made)
    )
    raw = text.encode("utf-8", "surrogatepass")
    path.write_bytes(
        broken(raw, rng) if n % 4 == 3 else b"a = " + b"[" * 100_000 if n % 12 == 4 else raw
    )
    with guarded(canary):
        load_training_data(load_config(path))
    with guarded(canary):
        read_study(path)
    with guarded(canary):
        read_keys(path)


# -- vectors


def object_array(canary) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([Bomb(canary)], dtype=object), allow_pickle=True)
    return out.getvalue()


def vast_array() -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "<f4", "fortran_order": False, "shape": (1 << 33, 32)}
    )
    return out.getvalue() + b"\x00" * 64


@pytest.mark.parametrize("n", range(8))
def test_vectors(n, built, retriever, tmp_path):
    rng, canary = random.Random(f"vectors {n}"), tmp_path / "ran"
    kept = tmp_path / "kept"
    texts = ["a bridge", "a river"]
    encode_cached(retriever, texts, "query", folder=kept)
    (path,) = kept.rglob("*.npy")
    path.write_bytes(
        (object_array(canary), vast_array(), broken(path.read_bytes(), rng), b"")[n % 4]
    )
    with guarded(canary):
        encode_cached(retriever, texts, "query", folder=kept)
    tokens = tmp_path / "tokens.npz"
    with zipfile.ZipFile(tokens, "w") as out:
        for name in ("ids", "vectors", "begins"):
            out.writestr(f"{name}.npy", object_array(canary) if n % 2 else vast_array())
    with guarded(canary):
        TokenIndex.load(tokens)
    shutil.copytree(built / "vectors", tmp_path / "made")
    rewrite(tmp_path / "made" / "manifest.json", rng)
    with guarded(canary):
        index(
            retriever,
            built / "docs.jsonl",
            str(tmp_path / "store"),
            vectors=tmp_path / "made",
            precision="fp32",
        )


# -- rows


@pytest.mark.parametrize("n", range(26))
def test_rows(n, retriever, tmp_path):
    rng, canary, place = random.Random(f"rows {n}"), tmp_path / "ran", tmp_path / "data"
    (place / "qrels").mkdir(parents=True)
    rows = {
        "corpus.jsonl": [
            {"_id": f"p{i}", "text": f"Bridge {i}.", "title": "t", "language": "en", "group": i}
            for i in range(4)
        ],
        "queries.jsonl": [
            {"_id": f"q{i}", "text": f"Which {i}?", "language": "de", "group": i} for i in range(4)
        ],
    }
    for name, of in rows.items():
        lines = [json.dumps(mutated(r, rng) if rng.random() < 0.5 else r) for r in of]
        (place / name).write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    grades = [
        f"q{i}\tp{i}\t{rng.choice(['1', '0', '-1', '1e400', 'nan', '', str(10**30), '1'])}"
        for i in range(4)
    ]
    (place / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(grades))
    if n % 3 == 0:
        name = rng.choice(["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
        (place / name).write_bytes(broken((place / name).read_bytes(), rng))
    for go in (
        lambda: load(str(place), skip_bad=n % 2 == 0),
        lambda: load_task(str(place), language="en"),
        lambda: index(retriever, place, str(tmp_path / "store"), precision="fp32"),
        lambda: encode(retriever, place / "corpus.jsonl", tmp_path / "vectors", precision="fp32"),
        lambda: folder.write_folder(load(str(place), skip_bad=True), tmp_path / "again"),
    ):
        with guarded(canary):
            go()
