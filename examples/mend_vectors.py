"""Fair search over vectors that exist already, of any model: no text, no encoder, nothing encoded
again.

    python examples/mend_vectors.py FOLDER OUT          # a map learnt from these vectors
    python examples/mend_vectors.py FOLDER OUT MAP      # a map that is there: balanced
    (multilingual-e5-small's), or a folder

FOLDER: Parquet files with the columns vector, language, group (what says the same has the same
group), role (query or passage). Groups in several languages are what a map is learnt from; a
hundred of each language are enough. OUT gets the map and the moved vectors; a question's vector
goes through the same map before it is asked.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import mixling
from mixling.debiasing.files import debias_vectors, transform_vectors


def by_language(folder: str) -> dict[str, float]:
    """How near the mean vectors of the languages are to the mean of all: 1 is no language left."""
    tables = [pq.read_table(p) for p in sorted(Path(folder).rglob("*.parquet"))]
    vectors = np.concatenate([np.stack(t["vector"].to_numpy(zero_copy_only=False)) for t in tables])
    languages = np.concatenate([t["language"].to_numpy(zero_copy_only=False) for t in tables])
    middle = vectors.mean(0)
    means = {x: vectors[languages == x].mean(0) for x in np.unique(languages)}
    return {
        x: float(m @ middle / np.linalg.norm(m) / np.linalg.norm(middle)) for x, m in means.items()
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
