"""Opens the vectors at an address."""

from __future__ import annotations

from mixling.connectors.address import parse_address
from mixling.connectors.chroma import ChromaConnector
from mixling.connectors.connector import Connector
from mixling.connectors.lance import LanceConnector
from mixling.connectors.milvus import MilvusConnector
from mixling.connectors.parquet import ParquetConnector
from mixling.connectors.pgvector import PgvectorConnector
from mixling.connectors.qdrant import QdrantConnector

# The class of a connector by the scheme of its address.
CONNECTORS: dict[str, type[Connector]] = {
    "chroma": ChromaConnector,
    "lancedb": LanceConnector,
    "milvus": MilvusConnector,
    "parquet": ParquetConnector,
    "postgresql": PgvectorConnector,
    "qdrant": QdrantConnector,
    "store": LanceConnector,
}


def open_connector(address: str) -> Connector:
    """Open the vectors at an address.

    Args:
        address: As `mixling.connectors.address.parse_address` takes it.

    Raises:
        MixlingError: The address has no known form, or nothing answers there.

    Example:
        >>> with_connector = open_connector("chroma:data#articles")
        >>> with_connector.describe().dimensions
        384
    """
    parsed = parse_address(address)
    return CONNECTORS[parsed.scheme].open(parsed)
