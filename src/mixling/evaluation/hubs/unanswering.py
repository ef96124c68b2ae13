"""Share of passages that are among nobody's first k: antihubs (Radovanovic et al. 2010).

    share = |{p: N(p) = 0}| / n

At random, with Q queries, a passage is in none of their lists with probability (1 - k / n)^Q.
"""

from mixling.evaluation.hubs.neighbors import HubMeasure, K, Neighbors


def unanswering_share(neighbors: Neighbors) -> float:
    """Compute the share of passages that no query finds.

    Args:
        neighbors: What the queries find.

    Returns:
        The share, 0 to 1; NaN without passages.
    """
    occurrence = neighbors.occurrence
    return float((occurrence == 0).mean()) if len(occurrence) else float("nan")


def unanswering_share_at_random(neighbors: Neighbors) -> float:
    """Compute the share that random result lists would give.

    Args:
        neighbors: What the queries find; only their numbers matter.

    Returns:
        The share, 0 to 1.
    """
    return float((1 - neighbors.probability) ** neighbors.n_queries)


MEASURE = HubMeasure(
    f"unanswering_share@{K}",
    unanswering_share,
    unanswering_share_at_random,
    "0 to 1",
    "low",
    "Share of passages that are in nobody's first ten: antihubs, which searches cannot reach.",
    "Depends on the number of queries: Q queries leave out at least 1 - 10 Q / n of n passages, "
    "and (1 - 10 / n)^Q at random. Passages that nobody asks for count too.",
    "Radovanovic et al. 2010",
    "|{p: N(p) = 0}| / number of passages",
)
