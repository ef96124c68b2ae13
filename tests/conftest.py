"""Fixtures: a tiny encoder made on the spot, and small corpora. No test reaches a network."""

from __future__ import annotations

import math
import os
import socket
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault(
    "NUMBA_DISABLE_JIT", "1"
)  # ranx compiles for half a minute what then takes a millisecond


# files that fill real databases, whose servers take long to start: one process runs them all
DATABASES = {
    f"tests/test_{name}.py"
    for name in (
        "audit_sources",
        "connectors",
        "repair",
        "repair_refusals",
        "repair_stores",
        "stores",
    )
}


def pytest_collection_modifyitems(items):
    """Let files with many slow tests come first, so that no process begins one at the end."""
    databases = {item.path for item in items if item.nodeid.partition("::")[0] in DATABASES}
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (item.path not in databases, -slow[item.path]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a process whole files, in the order of above, and all files of DATABASES together."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "databases" if file in DATABASES else file

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def tiny_tokenizer(kind: str = "unigram"):
    """A small tokenizer learnt from the sample set: the same in every process, which a trained one
    is not, since its trainer breaks ties by hash."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    from mixling.corpora import sample

    texts = sample.read_sample("all").passages["text"].to_pylist()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    split = pre_tokenizers.Metaspace()
    counts = Counter()
    for text in texts:
        for word, _ in split.pre_tokenize_str(normalizers.NFKC().normalize_str(text)):
            counts.update(
                word[i:j] for i in range(len(word)) for j in range(i + 1, min(i + 8, len(word)) + 1)
            )
    pieces = sorted(counts, key=lambda p: (len(p) > 1, -counts[p] * (len(p) - 1), p))[
        : 1500 - len(special)
    ]
    total = sum(counts[p] for p in pieces)
    scores = [(p, math.log(counts[p] / total)) for p in pieces]
    tokenizer = Tokenizer(
        models.Unigram([*((p, 0.0) for p in special), *scores], unk_id=special.index("<unk>"))
    )
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = split
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=128,
    )


def tiny_encoder(folder: Path, architecture: str = "bert") -> Path:
    """A plain Hugging Face encoder: two layers, 32 dimensions, random weights from a fixed seed."""
    import torch
    from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

    tokenizer = tiny_tokenizer()
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 140,
        "pad_token_id": 1,
    }
    torch.manual_seed(0)
    model = (
        BertModel(BertConfig(**sizes))
        if architecture == "bert"
        else XLMRobertaModel(XLMRobertaConfig(**sizes, type_vocab_size=1))
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def fp32():
    """Let precision "auto" be fp32 on every processor: tests compare vectors to 1e-5."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mixling.models.precision.has_fast_bf16", lambda: False)
        yield


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> Path:
    """A plain encoder's folder (BERT)."""
    return tiny_encoder(tmp_path_factory.mktemp("plain") / "encoder")


@pytest.fixture(scope="session")
def chain(plain, tmp_path_factory) -> Path:
    """A sentence-transformers folder: mean, normalized, with prompts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    folder = tmp_path_factory.mktemp("chain") / "model"
    model = SentenceTransformer(
        modules=[Transformer(str(plain)), Pooling(32, "mean"), Normalize()],
        device="cpu",
        prompts={"query": "query: ", "passage": "passage: ", "document": "passage: "},
    )
    model.save(str(folder), create_model_card=False)
    return folder


class Server:
    """An application behind a port, in a thread of this process."""

    def __init__(self, app):
        import uvicorn

        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.server = uvicorn.Server(
            uvicorn.Config(app, port=port, log_config=None, access_log=False)
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.05)
        self.address = f"http://127.0.0.1:{port}/"

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A server in the hub's place, and an empty cache: a `HubServer` to fill."""
    from huggingface_hub import constants, hf_api
    from tests.hub_server import serve

    monkeypatch.setenv("MIXLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIXLING_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serve() as server:
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(hf_api.api, "endpoint", server.address)  # of file_exists
        yield server


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: run("data", "list") -> (status, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        from mixling.cli.main import main

        monkeypatch.setattr("sys.argv", ["mixling", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def one_thread():
    """Let torch compute in one thread, so that sums have the same bits in every process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def forks():
    """A process that has imported Mixling and forks others: `tests.forking.Forks`.

    Its children order sets in one way, and this process in another: where the order must not
    matter, one of the runs that are compared is one of this process.
    """
    from tests.forking import Forks

    forks = Forks()
    yield forks
    forks.close()


def _server(kind: str, tmp_path_factory):
    """Run a database server of this test process's own."""
    from tests.servers import serve

    with serve(kind, tmp_path_factory.mktemp(kind)) as address:
        yield address


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """The address of a PostgreSQL server with pgvector.

    Its data are not below pytest's folder: the server has a user of its own, and another run of
    pytest takes that folder's permission away from other users.
    """
    from tests.servers import serve

    with (
        tempfile.TemporaryDirectory(prefix="mixling-", ignore_cleanup_errors=True) as folder,
        serve("postgresql", Path(folder)) as address,
    ):
        yield address


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory):
    """The address of a server of Chroma."""
    yield from _server("chroma", tmp_path_factory)


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory):
    """The address of a server of Milvus."""
    pytest.importorskip("milvus", reason="the package milvus, which brings a server, is missing")
    yield from _server("milvus", tmp_path_factory)
