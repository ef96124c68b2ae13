"""Fit the transform of the model `balanced`, which comes with the package.

    python -m studies.ship

It is the trained transform (docs/guides/debiasing.md) with its defaults, fitted on SIB-200's
training sentences in the languages of which CC-100 holds most, and on the queries and paragraphs of
MLQA's train part (the published test part without the tenth held out).
"""

from __future__ import annotations

from pathlib import Path

from mixling.debiasing.debias import debias
from mixling.models.shipped import write_shipped
from mixling.models.weights import DEFAULT
from mixling.transforms.transforms import AffineTransform

FIT = ("sib-200", "mlqa:train")


def main() -> None:
    """Fit the transform and write it to the package."""
    transform = debias(
        DEFAULT, "trained", FIT, vector_cache=Path("runs/balanced/vectors"), precision="bf16"
    )
    assert isinstance(transform, AffineTransform)
    metadata = {**transform.metadata, "model": DEFAULT, "fit": list(FIT)}
    print(write_shipped(transform.matrix, transform.bias, metadata), metadata)


if __name__ == "__main__":
    main()
