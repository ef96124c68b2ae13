"""The map that comes with the package, for the model `balanced`: `python -m studies.ship`.

The trained map (docs/debiasing.md) with its defaults: SIB-200's training sentences in the languages
of which CC-100 holds most, and the questions and paragraphs of MLQA's train part here (the
published test part less the tenth held out).
"""

from __future__ import annotations

from pathlib import Path

from mixling.debiasing.debias import debias
from mixling.debiasing.transforms import AffineTransform
from mixling.models.shipped import write_shipped
from mixling.models.weights import DEFAULT

FIT = ("sib-200", "mlqa:train")


def main() -> None:
    """Fit and keep it."""
    found = debias(
        DEFAULT, "map", FIT, vector_cache=Path("runs/balanced/vectors"), precision="bf16"
    )
    assert isinstance(found, AffineTransform)
    made = {**found.metadata, "model": DEFAULT, "fit": list(FIT)}
    print(write_shipped(found.matrix, found.bias, made), made)


if __name__ == "__main__":
    main()
