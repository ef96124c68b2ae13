"""Reports the effect of a transform on a sample of stored vectors; writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixling.connectors.connector import Connector, Description
from mixling.errors import MixlingError
from mixling.repairing.apply import Application, row_languages

_UNIT = 1e-2  # lengths as near to one as this are one in float16
_FEWEST = 5  # rows of a language below which its mean says nothing


@dataclass(frozen=True)
class DryRun:
    """The effect of a transform on a sample.

    Args:
        description: The collection.
        rows: Number of rows in the sample.
        dimensions_after: Size of the vectors after the transform.
        lengths: Smallest, median and largest length of the vectors.
        lengths_after: The same after the transform.
        offsets: For each language with enough rows, the distance of its mean vector from the mean
            of these languages' means, before and after.
        language_share: Share of the vectors' variance that lies between languages, from 0 to 1,
            before and after; None where fewer than two languages have enough rows.
    """

    description: Description
    rows: int
    dimensions_after: int
    lengths: tuple[float, float, float]
    lengths_after: tuple[float, float, float]
    offsets: dict[str, tuple[float, float]]
    language_share: tuple[float, float] | None

    def lines(self) -> list[str]:
        """Return the report for a terminal."""
        d = self.description
        lines = [
            f"{d.kind}: {d.count:,} rows of {d.dimensions} numbers ({d.number_format}), metric "
            f"{d.metric or 'not named'}; sample of {self.rows:,}",
            "length of vectors: "
            + " to ".join(f"{x:.4g}" for x in (self.lengths[0], self.lengths[2]))
            + f" (median {self.lengths[1]:.4g}); after "
            + " to ".join(f"{x:.4g}" for x in (self.lengths_after[0], self.lengths_after[2])),
        ]
        if self.dimensions_after != d.dimensions:
            lines.append(
                f"size of vectors: {d.dimensions} before, {self.dimensions_after} after; the copy "
                "is created for that size"
            )
        if max(abs(x - 1) for x in self.lengths) > _UNIT:
            lines.append(
                "the vectors are not normalized: each keeps its length, unless --normalize is given"
            )
        if self.language_share is None:
            lines.append(
                "language offsets: not known; name the field of the language with --language-field,"
                " or add --identify"
            )
            return lines
        before, after = self.language_share
        lines.append(f"variance between languages: {before:.1%} before, {after:.1%} after")
        lines += [
            f"  {language:<8} offset {a:.3f} before, {b:.3f} after"
            for language, (a, b) in sorted(self.offsets.items())
        ]
        return lines


def dry_run(connector: Connector, application: Application, n: int, seed: int) -> DryRun:
    """Apply a transform to a sample.

    Args:
        connector: The vectors.
        application: The transform.
        n: Size of the sample.
        seed: Seed of the sample.

    Raises:
        MixlingError: The vectors cannot be read or transformed.
    """
    description = connector.describe()
    source = connector.address.text
    application.check(description, source)
    batch = connector.sample(n, seed)
    after = application.apply(batch, application.languages(batch, source))
    try:
        languages = np.array(row_languages(batch, source, application.identify))
    except MixlingError:
        languages = np.array([""] * len(batch))
    names = [x for x in np.unique(languages) if x and (languages == x).sum() >= _FEWEST]
    before_offsets, before_share = _offsets(batch.vectors, languages, names)
    after_offsets, after_share = _offsets(after.vectors, languages, names)
    return DryRun(
        description,
        len(batch),
        after.vectors.shape[1],
        _lengths(batch.vectors),
        _lengths(after.vectors),
        {
            str(x): (float(a), float(b))
            for x, a, b in zip(names, before_offsets, after_offsets, strict=True)
        },
        (before_share, after_share) if len(names) > 1 else None,
    )


def _lengths(vectors: np.ndarray) -> tuple[float, float, float]:
    lengths = np.linalg.norm(vectors, axis=1)
    return float(lengths.min()), float(np.median(lengths)), float(lengths.max())


def _offsets(
    vectors: np.ndarray, languages: np.ndarray, names: list[str]
) -> tuple[np.ndarray, float]:
    """Return each language's distance from the center, and the variance between languages."""
    if not names:
        return np.empty(0), 0.0
    rows = np.isin(languages, names)
    vectors, languages = vectors[rows].astype(np.float64), languages[rows]
    means = np.stack([vectors[languages == x].mean(0) for x in names])
    counts = np.array([(languages == x).sum() for x in names])
    center = vectors.mean(0)
    between = (counts * ((means - center) ** 2).sum(1)).sum()
    total = ((vectors - center) ** 2).sum()
    return np.linalg.norm(means - means.mean(0), axis=1), float(between / max(total, 1e-12))
