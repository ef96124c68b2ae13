"""Parses the address of vectors: a database with its collection, a store, or Parquet files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from mixling.errors import MixlingError

FORMS = (
    "qdrant://host:port/collection, qdrant:FOLDER#collection, "
    "postgresql://user@host/db?table=T&column=C, chroma://host:port/collection, "
    "chroma:FOLDER#collection, milvus://host:port/collection, lancedb:FOLDER#table, "
    "a folder of `mixling index`, or Parquet files"
)
# the options that any address may have; PostgreSQL's own options go to its client
OPTIONS = ("id", "text", "language", "vector", "tls")
_SCHEMES = {"qdrant", "chroma", "milvus", "lancedb"}
_SERVER = re.compile(r"^(?P<host>[^/#?]+)/(?P<name>[^/#?]+)$")


@dataclass(frozen=True)
class Address:
    """A parsed address.

    Args:
        text: The address for messages, without a password.
        scheme: "qdrant", "postgresql", "chroma", "milvus", "lancedb", "store" or "parquet".
        folder: The folder or file, of an address on this machine.
        host: `host:port` of a server.
        name: Name of the collection or table.
        options: The options after `?`: names of fields, and of PostgreSQL's connection.
        url: PostgreSQL's connection, with its password.
    """

    text: str
    scheme: str
    folder: Path | None = None
    host: str = ""
    name: str = ""
    options: dict[str, str] = field(default_factory=dict)
    url: str = field(default="", repr=False)

    @property
    def identity(self) -> str:
        """The part that all addresses of the same vectors share: no password, no other fields."""
        place = str(self.folder.resolve()) if self.folder else self.host
        vector = self.options.get("column") or self.options.get("vector", "")
        return " ".join((self.scheme, place, _without_password(self.url), self.name, vector))


def parse_address(address: str) -> Address:
    """Parse the address of vectors.

    Args:
        address: One of `FORMS`. Options after `?` name the fields: `id`, `text`, `language`,
            `vector` (where rows have several vectors), `tls=1` for a server behind TLS.

    Raises:
        MixlingError: The address has no known form.

    Example:
        >>> parse_address("chroma:data#articles?language=lang").name
        'articles'
    """
    scheme = re.split("[:]", address, maxsplit=1)[0] if ":" in address else ""
    if scheme in ("postgresql", "postgres"):
        return _parse_postgresql(address)
    if scheme in _SCHEMES:
        return _parse_collection(address, scheme)
    if "://" in address:
        raise MixlingError(
            f"{_without_password(address)}: this kind of address is unknown. Expected {FORMS}."
        )
    path, options = Path(address), dict[str, str]()
    if not path.exists() and "?" in address:
        place, options = _split_options(address, address)
        path = Path(place)
    if not path.exists():
        raise MixlingError(f"{address}: the file or folder does not exist. Expected {FORMS}.")
    if (path / "mixling.json").exists():
        return Address(address, "store", path, name="passages", options=options)
    if path.is_dir() and not any(path.glob("*.parquet")):
        tables = sorted(x.stem for x in path.glob("*.lance"))
        hint = f"; for a table of LanceDB write lancedb:{address}#{tables[0]}" if tables else ""
        raise MixlingError(
            f"{address}: the folder has no Parquet files{hint}. Expected Parquet files with a "
            "column `vector`."
        )
    return Address(address, "parquet", path, options=options)


def _parse_collection(address: str, scheme: str) -> Address:
    """Parse the address of a collection on a server or in a folder."""
    body, options = _split_options(address[len(scheme) + 1 :], address)
    if body.startswith("//"):
        match = _SERVER.match(body[2:])
        if match is None or scheme == "lancedb":
            form = "FOLDER#table" if scheme == "lancedb" else "//host:port/collection"
            raise MixlingError(f"{address}: the address is incomplete. Expected {scheme}:{form}")
        return Address(address, scheme, host=match["host"], name=match["name"], options=options)
    folder, _, name = body.partition("#")
    if scheme == "milvus" or not folder or not name:
        form = "//host:port/collection" if scheme == "milvus" else "FOLDER#collection"
        raise MixlingError(f"{address}: the address is incomplete. Expected {scheme}:{form}")
    if not Path(folder).is_dir():
        raise MixlingError(f"{address}: the folder {folder} does not exist. Check the path.")
    return Address(address, scheme, Path(folder), name=name, options=options)


def _split_options(text: str, address: str) -> tuple[str, dict[str, str]]:
    """Split what follows `?` off; `address` is the whole, for messages."""
    body, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise MixlingError(
            f"{address}: the address has an unknown option '{unknown[0]}'. Expected "
            f"{', '.join(OPTIONS)}."
        )
    return body, options


def _parse_postgresql(address: str) -> Address:
    """Parse the address of a column of PostgreSQL."""
    base, _, query = address.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    names = ("table", "column", "id", "text", "language")
    ours: dict[str, str] = {name: given.pop(name) for name in names if name in given}
    if "table" not in ours or "column" not in ours:
        raise MixlingError(
            f"{_without_password(address)}: the address names no table or no column. Write "
            "postgresql://user@host/db?table=T&column=C"
        )
    url = base + ("?" + urlencode(given, quote_via=quote) if given else "")
    return Address(
        _without_password(address), "postgresql", name=ours["table"], options=ours, url=url
    )


def _without_password(address: str) -> str:
    """Return an address without the password that it holds."""
    try:
        password = urlsplit(address).password
    except ValueError:
        password = None
    text = address.replace(f":{password}@", "@", 1) if password else address
    return re.sub(r"([?&]password=)[^&]*", r"\1***", text)
