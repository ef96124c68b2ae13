"""Reads a column of vectors of PostgreSQL (pgvector), and keeps its shadow: a column beside it.

The shadow has the original's type and, once it is complete, indexes like the original's. A switch
renames both columns in one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Self

from mixling.connectors.address import Address
from mixling.connectors.connector import (
    LANGUAGE_FIELDS,
    TEXT_FIELDS,
    Batch,
    Description,
    choose_field,
    explain_errors,
    import_client,
    stack_vectors,
)
from mixling.connectors.shadow import RenamingConnector
from mixling.errors import MixlingError

_METRICS = {"cosine": "cosine", "ip": "dot", "l2": "l2"}
_TYPE = re.compile(r"^(?:.*\.)?(vector|halfvec)(?:\((\d+)\))?$")
_OPERATORS = re.compile(r"(?:vector|halfvec)_(\w+)_ops")


class PgvectorConnector(RenamingConnector):
    """A column of type vector or halfvec; texts and languages are other columns of its table."""

    def __init__(self, address: Address, connection: Any):
        self.address, self.connection = address, connection
        self.column = address.options["column"]

    @classmethod
    def open(cls, address: Address) -> Self:
        """See `Connector.open`."""

        def load() -> Any:
            import pgvector.psycopg
            import psycopg

            return psycopg, pgvector.psycopg

        psycopg, types = import_client(load, "psycopg or pgvector", "pgvector")
        with explain_errors(address.text, "no PostgreSQL server answers", psycopg.Error):
            connection = psycopg.connect(address.url, autocommit=True, connect_timeout=20)
        with explain_errors(
            address.text,
            "the extension 'vector' is not in this database",
            psycopg.Error,
            psycopg.ProgrammingError,
        ):
            types.register_vector(connection)
        return cls(address, connection)

    def describe(self) -> Description:
        """See `Connector.describe`."""
        columns = self._columns()
        match = _TYPE.match(columns[self.column])
        if match is None:
            raise MixlingError(
                f"{self.address.text}: column '{self.column}' has the type "
                f"{columns[self.column]}. Expected a column of type vector or halfvec."
            )
        self._id_column()
        count = self._query("SELECT count({c}) FROM {t}")[0][0]
        if not count:
            raise MixlingError(
                f"{self.address.text}: column '{self.column}' holds no vectors. Name a column "
                "that has some."
            )
        first = self._query("SELECT vector_dims({c}) FROM {t} WHERE {c} IS NOT NULL LIMIT 1")
        operators = [_OPERATORS.findall(x) for x in self._index_definitions()]
        metrics = {_METRICS.get(x) for found in operators for x in found}
        return Description(
            "postgresql",
            int(count),
            int(match[2] or first[0][0]),
            metrics.pop() if len(metrics) == 1 else None,
            self.column,
            choose_field(self.address, "text", list(columns), TEXT_FIELDS),
            choose_field(self.address, "language", list(columns), LANGUAGE_FIELDS),
            "float16" if match[1] == "halfvec" else "float32",
        )

    def keys(self) -> Sequence[Any]:
        """See `Connector.keys`: rows whose vector is NULL are left out."""
        rows = self._query("SELECT {id} FROM {t} WHERE {c} IS NOT NULL ORDER BY {id}")
        return [row[0] for row in rows]

    def fetch(self, keys: Sequence[Any], with_texts: bool = False) -> Batch:
        """See `Connector.fetch`."""
        if "_described" not in self.__dict__:
            self._described = self.describe()
        description = self._described
        text, language = description.text_field, description.language_field
        fields = [
            "{id}",
            "{c}",
            "{text}" if text and with_texts else "NULL",
            "{language}" if language else "NULL",
        ]
        further = [x for x in ("title", "group") if x in self.address.options]
        fields += [f"{{{x}}}" for x in further]
        rows = self._query(
            f"SELECT {', '.join(fields)} FROM {{t}} WHERE {{id}} = ANY(%s) AND {{c}} IS NOT NULL "
            "ORDER BY {id}",
            (list(keys),),
            text=text or "",
            language=language or "",
            **{x: self.address.options[x] for x in further},
        )
        ids = [row[0] for row in rows]
        return Batch(
            ids,
            stack_vectors(
                [row[1].to_numpy() for row in rows], description.dimensions, ids, self.address.text
            ),
            [row[2] for row in rows] if text and with_texts else None,
            [row[3] for row in rows] if language else None,
            [
                {self.address.options[x]: v for x, v in zip(further, row[4:], strict=True)}
                if further
                else None
                for row in rows
            ],
        )

    def shadow_name(self, tag: str) -> str:
        """See `RenamingConnector.shadow_name`."""
        return f"{self.column[:40]}_mixling_{tag}"

    def original_name(self, tag: str) -> str:
        """See `RenamingConnector.original_name`."""
        return f"{self.column[:40]}_before_{tag}"

    def names(self) -> set[str]:
        """Return the columns of the table."""
        return set(self._all_columns())

    def rename(self, old: str, new: str) -> None:
        """Rename a column."""
        self._run("ALTER TABLE {t} RENAME COLUMN {old} TO {new}", old=old, new=new)

    def drop(self, name: str) -> None:
        """Remove a column."""
        self._run("ALTER TABLE {t} DROP COLUMN {old}", old=name)

    def shadow_create(self, tag: str, dimensions: int | None = None) -> None:
        """See `ShadowConnector.shadow_create`."""
        kind = self._columns()[self.column]
        if dimensions is not None:
            kind = re.sub(r"\(\d+\)", f"({dimensions})", kind)
        self._run(f"ALTER TABLE {{t}} ADD COLUMN {{new}} {kind}", new=self.shadow_name(tag))

    def shadow_write(self, tag: str, batch: Batch) -> None:
        """See `ShadowConnector.shadow_write`: one COPY and one UPDATE a batch."""
        import psycopg
        from pgvector import HalfVector, Vector
        from psycopg import sql

        kind = self._columns()[self.column].partition("(")[0]
        id_type = self._columns()[self._id_column()]
        as_vector = HalfVector if kind.endswith("halfvec") else Vector
        names = self._names(new=self.shadow_name(tag))
        create = f"CREATE TEMP TABLE mixling_batch (id {id_type}, v {kind}) ON COMMIT DROP"
        update = "UPDATE {t} SET {new} = b.v FROM pg_temp.mixling_batch b WHERE {t}.{id} = b.id"
        with (
            explain_errors(self.address.text, "the copy cannot be written", psycopg.Error),
            self.connection.transaction(),
            self.connection.cursor() as cursor,
        ):
            cursor.execute(create)
            with cursor.copy("COPY pg_temp.mixling_batch FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types([re.sub(r"\(.*\)", "", id_type), kind])
                for key, vector in zip(batch.ids, batch.vectors, strict=True):
                    copy.write_row((key, as_vector(vector)))
            cursor.execute(sql.SQL(update).format(**names))

    def shadow_delete(self, tag: str, ids: Sequence[Any]) -> None:
        """See `ShadowConnector.shadow_delete`: rows without an original vector get NULL."""
        self._run(
            "UPDATE {t} SET {new} = NULL WHERE {id}::text = ANY(%s)",
            ([str(x) for x in ids],),
            new=self.shadow_name(tag),
        )

    def shadow_count(self, tag: str) -> int:
        """See `ShadowConnector.shadow_count`."""
        return int(self._query("SELECT count({new}) FROM {t}", new=self.shadow_name(tag))[0][0])

    def shadow_finish(self, tag: str) -> None:
        """See `ShadowConnector.shadow_finish`."""
        from psycopg import sql

        shadow = self.shadow_name(tag)
        column = sql.Identifier(self.column).as_string(self.connection)
        existing = self._index_definitions(shadow)
        for definition in self._index_definitions():
            # CREATE INDEX name ON table USING hnsw (column vector_cosine_ops) WITH (...)
            using = definition.partition(" USING ")[2]
            method, _, rest = using.partition("(")
            pattern = rf"(?<![\w\"])(?:{re.escape(column)}|{re.escape(self.column)})(?![\w\"])"
            new = f"{method}({re.sub(pattern, _quoted(shadow), rest)}"
            if not any(x.partition(" USING ")[2] == new for x in existing):
                self._run(f"CREATE INDEX ON {{t}} USING {new.replace('{', '{{')}")

    def switch(self, tag: str) -> str:
        """See `ShadowConnector.switch`: both names change in one transaction."""
        shadow, original = self.shadow_name(tag), self.original_name(tag)

        def check() -> None:
            late = self._query(
                "SELECT count(*) FROM {t} WHERE {c} IS NOT NULL AND {new} IS NULL", new=shadow
            )[0][0]
            if late:
                raise MixlingError(
                    f"{self.address.text}: {late:,} rows were written during the repair. Run the "
                    "same command again."
                )

        self._exchange([(self.column, original), (shadow, self.column)], check)
        return f"Column '{self.column}' is the repaired one; '{original}' is the original."

    def undo(self, tag: str) -> str:
        """See `ShadowConnector.undo`."""
        shadow, original = self.shadow_name(tag), self.original_name(tag)
        self._exchange([(self.column, shadow), (original, self.column)])
        return f"Column '{self.column}' is the original again."

    def switched_tag(self) -> str | None:
        """See `ShadowConnector.switched_tag`."""
        prefix = f"{self.column[:40]}_before_"
        return next((x[len(prefix) :] for x in sorted(self.names()) if x.startswith(prefix)), None)

    def reopen(self) -> None:
        """See `ShadowConnector.reopen`."""
        for name in ("_described", "_known", "_key"):
            self.__dict__.pop(name, None)

    def close(self) -> None:
        """See `Connector.close`."""
        self.connection.close()

    def _exchange(
        self, renames: list[tuple[str, str]], check: Callable[[], None] = lambda: None
    ) -> None:
        """Rename columns in one transaction; the constraint NOT NULL goes with the original's name.

        An application does not write the column that is out of place, so that one must take NULL.
        """
        import psycopg

        required = self._query(
            "SELECT attnotnull FROM pg_attribute WHERE attrelid = {name}::regclass "
            "AND attname = %s",
            (self.column,),
        )[0][0]
        with (
            explain_errors(self.address.text, "the columns cannot be renamed", psycopg.Error),
            self.connection.transaction(),
        ):
            self._run("LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE")
            check()
            if required:
                self._run("ALTER TABLE {t} ALTER COLUMN {old} DROP NOT NULL", old=self.column)
            for old, new in renames:
                self.rename(old, new)
            if required and not self._query("SELECT 1 FROM {t} WHERE {c} IS NULL LIMIT 1"):
                self._run("ALTER TABLE {t} ALTER COLUMN {old} SET NOT NULL", old=self.column)
        self.reopen()

    def _all_columns(self) -> dict[str, str]:
        """Return the type of each column."""
        import psycopg

        with explain_errors(
            self.address.text,
            f"there is no table '{self.address.name}', or it cannot be read",
            psycopg.Error,
        ):
            rows = self._execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE "
                "attrelid = {name}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            )
        return dict(rows)

    def _columns(self) -> dict[str, str]:
        """Return the type of each column, the vector's among them."""
        if "_known" not in self.__dict__:
            columns = self._all_columns()
            if self.column not in columns:
                raise MixlingError(
                    f"{self.address.text}: table '{self.address.name}' has no column "
                    f"'{self.column}'. Its columns are: {', '.join(columns)}"
                )
            self._known = columns
        return self._known

    def _id_column(self) -> str:
        """Return the column of the ids: the address's, or the primary key."""
        if "_key" not in self.__dict__:
            given = self.address.options.get("id")
            if given is not None and given not in self._columns():
                raise MixlingError(
                    f"{self.address.text}: the table has no column '{given}' for id. Its columns "
                    f"are: {', '.join(self._columns())}"
                )
            rows = self._query(
                "SELECT a.attname, i.indisprimary FROM pg_index i JOIN pg_attribute a ON "
                "a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = "
                "{name}::regclass AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL",
            )
            unique = {name for name, _ in rows}
            primary = next((name for name, is_primary in rows if is_primary), None)
            key = given or primary
            if key is None or key not in unique:
                raise MixlingError(
                    f"{self.address.text}: "
                    + (
                        f"column '{key}' is not unique"
                        if key
                        else "the table has no primary key of one column"
                    )
                    + ". Add ?id=COLUMN to the address, for a column with a unique index."
                )
            self._key = key
        return self._key

    def _index_definitions(self, column: str | None = None) -> list[str]:
        """Return the definitions of the indexes on a column of vectors."""
        rows = self._query(
            "SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_attribute a ON "
            "a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = "
            "{name}::regclass AND a.attname = %s AND i.indisvalid",
            (column or self.column,),
        )
        return [row[0] for row in rows]

    def _names(self, **names: str) -> dict[str, Any]:
        """Return the quoted names that replace the placeholders of a statement."""
        from psycopg import sql

        table = sql.Identifier(*self.address.name.split("."))
        return {
            "t": table,
            "c": sql.Identifier(self.column),
            "id": sql.Identifier(self.__dict__.get("_key", "")),
            "name": sql.Literal(table.as_string(self.connection)),
            **{key: sql.Identifier(value) for key, value in names.items()},
        }

    def _execute(self, statement: str, values: Sequence[Any] = (), **names: str) -> list[Any]:
        """Run a statement and return its rows."""
        from psycopg import sql

        with self.connection.cursor(binary=True) as cursor:
            cursor.execute(sql.SQL(statement).format(**self._names(**names)), values or None)
            return cursor.fetchall() if cursor.description else []

    def _query(self, statement: str, values: Sequence[Any] = (), **names: str) -> list[Any]:
        import psycopg

        with explain_errors(self.address.text, "the table cannot be read", psycopg.Error):
            if "{id}" in statement:
                self._id_column()
            return self._execute(statement, values, **names)

    def _run(self, statement: str, values: Sequence[Any] = (), **names: str) -> None:
        import psycopg

        with explain_errors(self.address.text, "the table cannot be changed", psycopg.Error):
            if "{id}" in statement:
                self._id_column()
            self._execute(statement, values, **names)


def _quoted(name: str) -> str:
    """Quote a name for a statement of SQL."""
    return '"' + name.replace('"', '""') + '"'
