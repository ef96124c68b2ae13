"""Remove language bias from stored vectors of any model, without text and without an encoder.

    python examples/mend_vectors.py FOLDER OUT              # fit a transform on these vectors
    python examples/mend_vectors.py FOLDER OUT TRANSFORM    # use a fitted transform

FOLDER holds Parquet files with the columns vector, language, group (texts that say the same have
one group) and role (query or passage). The transform is fitted on groups in several languages; a
hundred of each language are enough. TRANSFORM is a folder, or `balanced` for multilingual-e5-small.
OUT gets the transform and the transformed vectors. Transform a query's vector in the same way
before you search.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import mixling
from mixling.debiasing.files import debias_vectors, transform_vectors


def by_language(folder: str) -> dict[str, float]:
    """Return the cosine of each language's mean vector and the mean of all.

    It is 1 if no language is left.
    """
    tables = [pq.read_table(p) for p in sorted(Path(folder).rglob("*.parquet"))]
    vectors = np.concatenate([np.stack(t["vector"].to_numpy(zero_copy_only=False)) for t in tables])
    languages = np.concatenate([t["language"].to_numpy(zero_copy_only=False) for t in tables])
    center = vectors.mean(0)
    means = {x: vectors[languages == x].mean(0) for x in np.unique(languages)}
    return {
        x: float(m @ center / np.linalg.norm(m) / np.linalg.norm(center)) for x, m in means.items()
    }


folder, out = sys.argv[1:3]
before = by_language(folder)
if len(sys.argv) > 3:
    transform_vectors(folder, sys.argv[3], out)
else:
    debias_vectors(folder, "lsar", out)
after = by_language(out)
for language in before:
    print(f"{language}: {before[language]:.3f} -> {after[language]:.3f}")
print(f"{out}: written by Mixling {mixling.__version__}")
