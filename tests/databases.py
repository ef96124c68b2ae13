"""Fills real databases of vectors for tests and benchmarks."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LANGUAGES = ("en", "sw", "de")
KINDS = (
    "parquet",
    "lancedb",
    "chroma",
    "chroma-server",
    "qdrant",
    "postgresql",
    "halfvec",
    "milvus",
)


def rows(n: int, dimensions: int = 8, seed: int = 0, scale: float = 1.0):
    """Return ids, vectors with an offset for each language, texts and languages."""
    rng = np.random.default_rng(seed)
    languages = [LANGUAGES[i % len(LANGUAGES)] for i in range(n)]
    vectors = rng.normal(size=(n, dimensions))
    offsets = np.random.default_rng(1).normal(size=(len(LANGUAGES), dimensions))
    vectors += offsets[np.arange(n) % len(LANGUAGES)]
    vectors *= scale / np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [f"text {i}" for i in range(n)], languages


def fill_postgres(base: str, vectors, texts, languages, kind="vector", table="docs", index=True):
    import psycopg
    from pgvector import Vector
    from pgvector.psycopg import register_vector

    with psycopg.connect(base) as connection:
        register_vector(connection)
        connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(
            f"CREATE TABLE {table} (id bigint PRIMARY KEY, text text, language text, "
            f"embedding {kind}({vectors.shape[1]}) NOT NULL)"
        )
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for i, row in enumerate(zip(texts, languages, vectors, strict=True)):
                copy.write_row((i, row[0], row[1], Vector(row[2])))
        if index:
            connection.execute(
                f"CREATE INDEX ON {table} USING hnsw (embedding {kind}_cosine_ops) WITH (m = 8)"
            )
    return f"{base}&table={table}&column=embedding"


def chroma_client(address: str):
    import chromadb

    settings = chromadb.config.Settings(anonymized_telemetry=False)
    if address.startswith("chroma://"):
        host, _, port = address[9:].partition(":")
        return chromadb.HttpClient(host, int(port), settings=settings)
    return chromadb.PersistentClient(address.removeprefix("chroma:"), settings)


def fill_chroma(address: str, vectors, texts, languages, name="docs"):
    client = chroma_client(address)
    with contextlib.suppress(Exception):
        client.delete_collection(name)
    collection = client.create_collection(
        name, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
    )
    for i in range(0, len(texts), 2000):
        part = slice(i, i + 2000)
        collection.add(
            ids=[f"d{i + j}" for j in range(len(texts[part]))],
            embeddings=vectors[part],
            documents=texts[part],
            metadatas=[{"language": x} for x in languages[part]],
        )
    client.close()
    return f"{address}/{name}" if "://" in address else f"{address}#{name}"


def fill_qdrant(folder: Path, vectors, texts, languages, name="docs", distance="Cosine"):
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(folder))
    if client.collection_exists(name):
        client.delete_collection(name)
    client.create_collection(
        name,
        vectors_config=models.VectorParams(
            size=vectors.shape[1], distance=models.Distance(distance)
        ),
    )
    for start in range(0, len(texts), 2000):
        client.upsert(
            name,
            [
                models.PointStruct(
                    id=i if i % 2 else str(uuid.UUID(int=i)),
                    vector=vectors[i].tolist(),
                    payload={"text": texts[i], "language": languages[i]},
                )
                for i in range(start, min(start + 2000, len(texts)))
            ],
        )
    client.close()
    return f"qdrant:{folder}#{name}"


def fill_lance(folder: Path, vectors, texts, languages, name="docs"):
    import lancedb

    folder.mkdir(exist_ok=True)
    lancedb.connect(str(folder)).create_table(name, table(vectors, texts, languages))
    return f"lancedb:{folder}#{name}"


def fill_parquet(path: Path, vectors, texts, languages):
    pq.write_table(table(vectors, texts, languages), path, row_group_size=100)
    return str(path)


def table(vectors, texts, languages):
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    ids = [f"d{i}" for i in range(len(texts))]
    return pa.table({"id": ids, "vector": column, "text": texts, "language": languages})


def fill_milvus(address: str, vectors, texts, languages, name="docs"):
    from pymilvus import DataType, MilvusClient

    client = MilvusClient(uri=address.replace("milvus://", "http://"))
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=1000)
    schema.add_field("language", DataType.VARCHAR, max_length=20)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
    params = client.prepare_index_params()
    params.add_index(
        "embedding", index_type="HNSW", metric_type="IP", params={"M": 16, "efConstruction": 100}
    )
    client.create_collection(name, schema=schema, index_params=params)
    for start in range(0, len(texts), 2000):
        client.insert(
            name,
            [
                {
                    "id": i,
                    "text": texts[i],
                    "language": languages[i],
                    "embedding": vectors[i].tolist(),
                    "extra": i,
                }
                for i in range(start, min(start + 2000, len(texts)))
            ],
        )
    client.close()
    return f"{address}/{name}"


def fill(request, tmp_path: Path, data):
    """Fill the database that a fixture's parameter names; return its address."""
    kind, name = request.param, "c" + tmp_path.name.replace("-", "_")[-40:]
    if kind == "parquet":
        return fill_parquet(tmp_path / "v.parquet", *data)
    if kind == "lancedb":
        return fill_lance(tmp_path / "lance", *data)
    if kind == "chroma":
        return fill_chroma(f"chroma:{tmp_path}", *data)
    if kind == "chroma-server":
        return fill_chroma(request.getfixturevalue("chroma_server"), *data, name=name)
    if kind == "qdrant":
        return fill_qdrant(tmp_path / "q", *data)
    if kind == "milvus":
        return fill_milvus(request.getfixturevalue("milvus_server"), *data, name=name)
    kind = "vector" if kind == "postgresql" else kind
    return fill_postgres(request.getfixturevalue("postgres"), *data, kind=kind, table=name)
