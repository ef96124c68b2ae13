"""Other frameworks over a running server, with their real packages."""

import numpy as np
import pytest

from conftest import Server
from mixling.adapters.remote import Remote
from mixling.corpora import folder, sample
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.searching.index import index
from mixling.searching.query import Searcher
from mixling.serving.app import ServerConfig, application
from mixling.serving.keys import new_key, read_keys


@pytest.fixture(scope="module")
def searcher(chain, tmp_path_factory):
    root = tmp_path_factory.mktemp("adapted")
    folder.write_folder(sample.read_sample("all"), root / "sample")
    index(str(chain), root / "sample", str(root / "store"), size=60, precision="fp32")
    return Searcher(str(root / "store"))


@pytest.fixture(scope="module")
def remote(searcher, tmp_path_factory):
    key, line = new_key("adapter")
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(line)
    server = Server(application(searcher, ServerConfig(keys=read_keys(keys))))
    yield Remote(server.address, key)
    server.stop()


QUESTION = "Wie alt ist die Brücke?"


def test_a_server_is_as_a_store(remote, searcher, chain):
    ours = searcher.search(QUESTION, 5, order="centered", highlight=False)
    theirs = remote.search(QUESTION, 5, order="centered")
    assert [r["id"] for r in theirs] == [r["id"] for r in ours]
    texts = [f"text {i}" for i in range(40)]
    assert np.allclose(
        remote.encode(texts, "passage"), Retriever(str(chain)).encode(texts, "passage"), atol=1e-5
    )
    with pytest.raises(MixlingError, match="order"):
        remote.search(QUESTION, 5, order="best")
    with pytest.raises(
        MixlingError, match=r"input\[2\]: the text is empty.*input\[0\] is text 32 of 40"
    ):
        remote.encode([*texts[:34], " ", *texts[35:]])
    with pytest.raises(MixlingError, match="401"):
        Remote(remote.address, "wrong").search(QUESTION)
    with pytest.raises(MixlingError, match="no answer"):
        Remote("http://127.0.0.1:1").search(QUESTION)


def test_langchain(remote, searcher, chain):
    from mixling.adapters.langchain import MixlingEmbeddings, MixlingRetriever

    for source in (remote, searcher):
        found = MixlingRetriever(source=source, k=4, options={"languages": ["sw", "de"]}).invoke(
            QUESTION
        )
        expected = searcher.search(QUESTION, 4, languages=["sw", "de"])
        assert [d.id for d in found] == [r["id"] for r in expected]
        assert (
            found[0].page_content == expected[0]["text"]
            and found[0].metadata["language"] == expected[0]["language"]
        )
    model = Retriever(str(chain))
    made = MixlingEmbeddings(remote)
    assert np.allclose(made.embed_query("a"), model.encode(["a"], "query")[0], atol=1e-5)
    assert np.allclose(
        made.embed_documents(["a", "b"]), model.encode(["a", "b"], "passage"), atol=1e-5
    )


def test_llama_index(remote, searcher, chain):
    from mixling.adapters.llama_index import MixlingEmbedding, MixlingRetriever

    for source in (remote, searcher):
        found = MixlingRetriever(source, 4, order="round-robin").retrieve(QUESTION)
        expected = searcher.search(QUESTION, 4, order="round-robin")
        assert [n.node_id for n in found] == [r["id"] for r in expected]
        assert (
            found[0].text == expected[0]["text"]
            and found[0].metadata["language"] == expected[0]["language"]
        )
    model = Retriever(str(chain))
    made = MixlingEmbedding(remote)
    assert np.allclose(made.get_query_embedding("a"), model.encode(["a"], "query")[0], atol=1e-5)
    assert np.allclose(
        made.get_text_embedding_batch(["a", "b"]), model.encode(["a", "b"], "passage"), atol=1e-5
    )
