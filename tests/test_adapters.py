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
from mixling.serving.app import application
from mixling.serving.config import ServerConfig
from mixling.serving.keys import create_key, read_keys


@pytest.fixture(scope="module")
def searcher(chain, tmp_path_factory):
    root = tmp_path_factory.mktemp("adapted")
    folder.write_folder(sample.read_sample("all"), root / "sample")
    index(str(chain), root / "sample", str(root / "store"), size=60, precision="fp32")
    return Searcher(str(root / "store"))


@pytest.fixture(scope="module")
def remote(searcher, tmp_path_factory):
    key, line = create_key("adapter")
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(line)
    server = Server(application(searcher, ServerConfig(keys=read_keys(keys))))
    yield Remote(server.address, key)
    server.stop()


QUERY = "Wie alt ist die Brücke?"


def test_a_server_is_as_a_store(remote, searcher, chain):
    expected = searcher.search(QUERY, 5, order="centered", highlight=False)
    hits = remote.search(QUERY, 5, order="centered")
    assert [hit.id for hit in hits] == [hit.id for hit in expected]
    assert [set(hit.to_dict()) for hit in hits] == [set(hit.to_dict()) for hit in expected]
    highlighted = remote.search(QUERY, 5, languages=["sw"], quotas={"sw": 2}, highlight=True)
    assert len(highlighted) == 2 and all(hit.sentence for hit in highlighted)
    texts = [f"text {i}" for i in range(40)]
    assert np.allclose(
        remote.encode(texts, "passage"), Retriever(str(chain)).encode(texts, "passage"), atol=1e-5
    )
    with pytest.raises(MixlingError, match="order"):
        remote.search(QUERY, 5, order="best")
    with pytest.raises(
        MixlingError, match=r"input\[2\]: the text is empty.*input\[0\] is text 32 of 40"
    ):
        remote.encode([*texts[:34], " ", *texts[35:]])
    with pytest.raises(MixlingError, match="401"):
        Remote(remote.address, "wrong").search(QUERY)
    with pytest.raises(MixlingError, match="does not answer"):
        Remote("http://127.0.0.1:1").search(QUERY)


def test_langchain(remote, searcher, chain):
    from mixling.adapters.langchain import MixlingEmbeddings, MixlingRetriever

    for source in (remote, searcher):
        retriever = MixlingRetriever(source=source, k=4, languages=["sw", "de"])
        documents = retriever.invoke(QUERY)
        expected = searcher.search(QUERY, 4, languages=["sw", "de"])
        assert [document.id for document in documents] == [hit.id for hit in expected]
        assert documents[0].page_content == expected[0].text
        assert documents[0].metadata["language"] == expected[0].language
        assert documents[0].metadata["part"] == expected[0].columns["part"]
    model = Retriever(str(chain))
    embeddings = MixlingEmbeddings(remote)
    assert np.allclose(embeddings.embed_query("a"), model.encode(["a"], "query")[0], atol=1e-5)
    assert np.allclose(
        embeddings.embed_documents(["a", "b"]), model.encode(["a", "b"], "passage"), atol=1e-5
    )


def test_llama_index(remote, searcher, chain):
    from mixling.adapters.llama_index import MixlingEmbedding, MixlingRetriever

    for source in (remote, searcher):
        nodes = MixlingRetriever(source, 4, order="round-robin").retrieve(QUERY)
        expected = searcher.search(QUERY, 4, order="round-robin")
        assert [node.node_id for node in nodes] == [hit.id for hit in expected]
        assert nodes[0].text == expected[0].text
        assert nodes[0].metadata["language"] == expected[0].language
    model = Retriever(str(chain))
    embeddings = MixlingEmbedding(remote)
    assert np.allclose(
        embeddings.get_query_embedding("a"), model.encode(["a"], "query")[0], atol=1e-5
    )
    assert np.allclose(
        embeddings.get_text_embedding_batch(["a", "b"]),
        model.encode(["a", "b"], "passage"),
        atol=1e-5,
    )
