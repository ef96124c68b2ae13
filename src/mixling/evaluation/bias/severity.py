"""How strong a language bias is, in words: one scale for reports of results and for audits.

A same-language passage among the first ten is no error by itself: a fair retriever shows some, and
a weak one shows wrong passages of every language. So the bias toward the query's language is

    bias = min(intrusion@10, same-language share of the first ten - its fair share), at least 0

where the fair share is that of the relevant passages (a result) or of the collection (an audit).
It is the share of the first ten that language alone, and not relevance, has put there.
"""

from __future__ import annotations

from typing import Literal

Severity = Literal["strong", "moderate", "little"]

# share of the first ten that language has put there, from which the bias has this name
STRONG, MODERATE = 0.20, 0.05
# a smaller loss of mean reciprocal rank or mAP where all languages are searched together is not
# worth a repair, and neither is a repair that gains less
MIN_LOSS = 0.02
MIN_GAIN = 0.02


def same_language_bias(intrusion: float, excess: float) -> float:
    """Return the bias toward the query's language.

    Args:
        intrusion: intrusion@10.
        excess: Share of the query's language among the first ten, less its fair share.

    Returns:
        The bias, 0 to 1.
    """
    return max(0.0, min(intrusion, excess))


def severity(bias: float) -> Severity:
    """Name a bias.

    Args:
        bias: Share of the first ten that language has put there, 0 to 1.

    Returns:
        "strong", "moderate" or "little".
    """
    return "strong" if bias >= STRONG else "moderate" if bias >= MODERATE else "little"


def severity_phrase(bias: float) -> str:
    """Return "Strong language bias", "Moderate language bias" or "Little language bias"."""
    return f"{severity(bias).capitalize()} language bias"


SCALE = (
    f"Strong means that {100 * STRONG:.0f} % or more of the first ten are there because of their "
    f"language, moderate {100 * MODERATE:.0f} % or more, little less. Counted are the wrong "
    "passages in the query's language, and no more than the excess of that language over its fair "
    "share; or the excess of another language that queries find, if that is larger."
)
