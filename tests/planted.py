"""An encoder whose language bias is planted and therefore known, and documents for it."""

import hashlib
import json

import numpy as np

DIM = 48
CODES = ["de", "en", "sw", "zh"]


def random_vector(name, size=DIM):
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "little")
    return np.random.default_rng(seed).standard_normal(size) / size**0.5


class PlantedEncoder:
    """Vectors of texts such as "g12 …": a meaning, a language by weight, a role, and noise."""

    name, similarity = "planted", "cosine"

    def __init__(self, bias, noise=0.6):
        self.bias, self.noise = bias, noise

    def encode(self, texts, role=None, *, languages=None, **_):
        rows = []
        for text, language in zip(texts, languages, strict=True):
            group = text.split()[0]
            rows.append(
                random_vector(group)
                + self.bias * random_vector(f"language {language}")
                + 0.3 * random_vector(f"role {role}")
                + self.noise * random_vector(f"{role} {text} {language}")
            )
        return np.array(rows, np.float32)


def documents(path, groups=150, codes=CODES, with_groups=True, parallel=True):
    """A file of documents whose title and body begin with the name of their meaning."""
    rows = [
        {
            "_id": f"{g}-{code}",
            "title": f"g{g}{'' if parallel else code} title in {code}",
            "text": f"g{g}{'' if parallel else code} body in {code}, " + "word " * 10,
            "language": code,
            **({"group": f"g{g}"} if with_groups else {}),
        }
        for g in range(groups)
        for code in codes
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def encode(texts, role):
    """Encode texts such as "g12 title in de" with a strong bias: a function for `python:`."""
    languages = [text.partition(" in ")[2][:2] or "en" for text in texts]
    return PlantedEncoder(1.0).encode(texts, role, languages=languages)
