"""The terms by the name that a configuration gives them."""

from __future__ import annotations

from mixling.training.terms.distillation import DistilCosine, DistilScores, DistilVectors, MarginMse
from mixling.training.terms.optical import Optical
from mixling.training.terms.term import Term
from mixling.training.terms.translations import Bitext, Clear, Jsd, Lakda

TERMS: dict[str, type[Term]] = {
    "lakda": Lakda,
    "jsd": Jsd,
    "bitext": Bitext,
    "clear": Clear,
    "optical": Optical,
    "distil-vectors": DistilVectors,
    "distil-cosine": DistilCosine,
    "distil-scores": DistilScores,
    "margin-mse": MarginMse,
}
