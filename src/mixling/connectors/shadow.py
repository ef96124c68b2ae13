"""Declares how a database keeps a repaired copy beside its original, and puts it in its place.

The copy's name ends in the tag of the transform that made it, so copies of two transforms never
mix, and the state follows from the names that the database holds:

    NAME, NAME_mixling_TAG      the shadow is being written, or is ready
    NAME_before_TAG             in the middle of a switch: `switch` or `undo` ends it
    NAME, NAME_before_TAG       switched; the original is NAME_before_TAG
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mixling.connectors.connector import Batch, Connector
from mixling.errors import MixlingError


class ShadowConnector(Connector):
    """A connector that can keep a shadow."""

    @abstractmethod
    def shadow_exists(self, tag: str) -> bool:
        """Return whether there is a shadow."""

    @abstractmethod
    def shadow_create(self, tag: str, dimensions: int | None = None) -> None:
        """Create the shadow, empty, with the original's settings.

        Args:
            tag: The shadow.
            dimensions: Size of its vectors. Default: the original's.

        Raises:
            MixlingError: The database refuses it, or cannot keep a copy of this collection.
        """

    @abstractmethod
    def shadow_write(self, tag: str, batch: Batch) -> None:
        """Write rows, in place of rows of the same ids.

        Args:
            tag: The shadow.
            batch: Rows of `fetch` with other vectors.
        """

    @abstractmethod
    def shadow_delete(self, tag: str, ids: Sequence[Any]) -> None:
        """Delete rows."""

    @abstractmethod
    def shadow_count(self, tag: str) -> int:
        """Count the rows of the shadow."""

    @abstractmethod
    def shadow_finish(self, tag: str) -> None:
        """Build the indexes that the original has; called when all rows are written."""

    @abstractmethod
    def shadow_drop(self, tag: str) -> None:
        """Remove the shadow."""

    @abstractmethod
    def switched_tag(self) -> str | None:
        """Return the tag of the shadow that stands in the original's place, or None."""

    def is_half_switched(self, tag: str) -> bool:
        """Return whether a switch was killed in its middle."""
        return False

    @abstractmethod
    def switch(self, tag: str) -> str:
        """Put the shadow in the original's place; return a sentence that says how."""

    @abstractmethod
    def undo(self, tag: str) -> str:
        """Put the original back, and keep the shadow; return a sentence that says how."""

    def reopen(self) -> None:
        """Forget the cached description of the collection; called after `switch` and `undo`."""
        return


def store_refused(source: str) -> MixlingError:
    """Return the error of a store of `mixling index`, which says how its vectors are changed."""
    return MixlingError(
        f"{source}: this is a store of `mixling index`, which records the model of its vectors. "
        "In Python, call mixling.repairing.stores.repair_store, which writes a store for the "
        "model with its transform."
    )


class RenamingConnector(ShadowConnector):
    """A connector whose database renames: one name at a time, so that a switch has a middle."""

    @abstractmethod
    def names(self) -> set[str]:
        """Return the names of all collections."""

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """Rename a collection."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Remove a collection."""

    def shadow_name(self, tag: str) -> str:
        """Return the name of the shadow."""
        return f"{self.address.name}_mixling_{tag}"

    def original_name(self, tag: str) -> str:
        """Return the name that the original has after a switch."""
        return f"{self.address.name}_before_{tag}"

    def shadow_exists(self, tag: str) -> bool:
        """See `ShadowConnector.shadow_exists`."""
        return self.shadow_name(tag) in self.names()

    def shadow_drop(self, tag: str) -> None:
        """See `ShadowConnector.shadow_drop`."""
        self.drop(self.shadow_name(tag))

    def switched_tag(self) -> str | None:
        """See `ShadowConnector.switched_tag`."""
        prefix = f"{self.address.name}_before_"
        return next((x[len(prefix) :] for x in sorted(self.names()) if x.startswith(prefix)), None)

    def is_half_switched(self, tag: str) -> bool:
        """See `ShadowConnector.is_half_switched`."""
        names = self.names()
        return {self.shadow_name(tag), self.original_name(tag)} <= names and (
            self.address.name not in names
        )

    def switch(self, tag: str) -> str:
        """See `ShadowConnector.switch`."""
        original = self.original_name(tag)
        if original not in self.names():
            self.rename(self.address.name, original)
        if self.address.name not in self.names():
            self.rename(self.shadow_name(tag), self.address.name)
        self.reopen()
        return f"'{self.address.name}' is the repaired copy; '{original}' is the original."

    def undo(self, tag: str) -> str:
        """See `ShadowConnector.undo`."""
        if not self.shadow_exists(tag):
            self.rename(self.address.name, self.shadow_name(tag))
        self.rename(self.original_name(tag), self.address.name)
        self.reopen()
        return f"'{self.address.name}' is the original again."
