"""The verdict of an audit: whether something should be done, and what.

The rule, on the known items of the audit (`known_items.py`) and the candidates (`candidates.py`):

1. "cannot tell" with fewer than two languages of `MIN_PASSAGES` passages in the sample, or fewer
   than `MIN_GROUPS` texts as known items.
2. "nothing to do" if the known-item loss is below `MIN_LOSS` with its whole 95 % interval.
3. A candidate repairs if its gain (mean reciprocal rank in the pool) is `MIN_GAIN` or more, the
   interval of the gain is above zero, and the mean reciprocal rank in the answer's language alone
   does not fall by more than `MAX_HARM` (lower end of its interval).
4. "a transform would repair" if a transform repairs and either the order does not, or the transform
   is ahead of the order by an interval above zero. Of the transforms that are not behind the best
   by an interval above `MIN_LEAD`, one with the fewest steps is advised, and of these the best.
5. "order at query time" if the order repairs otherwise: it changes no vector.
6. If none repairs: "nothing to do" if the gain of every candidate is below `MIN_GAIN` with its
   whole interval, or none is above zero; otherwise "cannot tell".
"""

from __future__ import annotations

from dataclasses import dataclass

from mixling.auditing.candidates import ORDER, Trial, Trials
from mixling.evaluation.bias.severity import MIN_GAIN, MIN_LOSS

MIN_PASSAGES = 30  # of a language in the sample, for it to be compared
MIN_GROUPS = 100  # texts that are known items
MAX_HARM = 0.03
MIN_LEAD = 0.005  # of a transform with more steps, lower end of its interval
TRANSFORM, AT_QUERY_TIME = "a transform would repair", "order at query time"
NOTHING, UNKNOWN = "nothing to do", "cannot tell"


@dataclass(frozen=True)
class Verdict:
    """The advice of an audit.

    Args:
        decision: "a transform would repair", "order at query time", "nothing to do" or "cannot
            tell".
        reason: Why, in one or two sentences.
        candidate: The key of the candidate that is advised; None if none is.
        gain: The expected gain of mean reciprocal rank in the pool; 0 if nothing is advised.
        gain_low: Lower end of its interval.
        gain_high: Upper end.
    """

    decision: str
    reason: str
    candidate: str | None = None
    gain: float = 0.0
    gain_low: float = 0.0
    gain_high: float = 0.0


def cannot_tell(reason: str) -> Verdict:
    """Return the verdict where there is too little to measure."""
    return Verdict(UNKNOWN, reason)


def too_few(languages: int, groups: int, has_items: bool) -> str | None:
    """Return why a sample does not suffice; None if it does.

    Args:
        languages: Languages with `MIN_PASSAGES` passages or more.
        groups: Groups that have known items.
        has_items: Whether queries could be made at all.
    """
    if languages < 2:
        found = "one language has" if languages == 1 else "no language has"
        return f"Too few languages: {found} {MIN_PASSAGES} passages or more in the sample."
    if not has_items:
        return (
            "Too few known items: the sample has no translations, and there are no texts or no "
            "encoder to make queries of titles or sentences."
        )
    if groups < MIN_GROUPS:
        return f"Too few known items: the sample has {groups:,}, and {MIN_GROUPS} are needed."
    return None


def decide(loss: tuple[float, float, float], trials: Trials) -> Verdict:
    """Apply the rule.

    Args:
        loss: The known-item loss with both ends of its 95 % interval.
        trials: The candidates.
    """
    value, low, high = loss
    described = (
        f"Known items lose {value:.3f} of mean reciprocal rank ({low:.3f} to {high:.3f}) when the "
        "passages of all languages are searched together"
    )
    chosen = best_transform(trials)
    if high < MIN_LOSS:
        more = (
            f" All the same, {chosen.name} would raise the ranks of all languages by "
            f"{chosen.gain:.3f} ({chosen.gain_low:.3f} to {chosen.gain_high:.3f})."
            if chosen
            else ""
        )
        return Verdict(
            NOTHING,
            f"{described}. This is less than {MIN_LOSS}, so a repair is not worth it.{more}",
        )
    order = next(t for t in trials.trials if t.candidate == ORDER)
    if chosen is not None:
        ahead, ahead_low, _ = trials.ahead(chosen.candidate, ORDER)
        if not _repairs(order):
            return _advise(TRANSFORM, described, chosen, "; the search order does not")
        if ahead_low > 0:
            beside = f", and {ahead:.3f} more than the centered search order"
            return _advise(TRANSFORM, described, chosen, beside)
    if _repairs(order):
        beside = "; no transform does better for certain, and this changes no vector"
        return _advise(AT_QUERY_TIME, described, order, beside)
    best = max(trials.trials, key=lambda t: t.gain)
    if best.gain_high < MIN_GAIN or (best.gain_low <= 0 and best.gain <= 0):
        return Verdict(
            NOTHING,
            f"{described}, but no candidate repairs it. The best gains {best.gain:+.3f} "
            f"({best.gain_low:+.3f} to {best.gain_high:+.3f}); only a gain of {MIN_GAIN} would "
            "be worth it.",
        )
    harm = (
        f" and changes the ranks within a language by {best.change_alone:+.3f}"
        if best.change_alone_low < -MAX_HARM
        else ""
    )
    return cannot_tell(
        f"{described}. The best candidate, {best.name}, gains {best.gain:+.3f} "
        f"({best.gain_low:+.3f} to {best.gain_high:+.3f}){harm}. This is too uncertain: take a "
        "larger sample."
    )


def best_transform(trials: Trials) -> Trial | None:
    """Return the transform that would be advised; None if none repairs.

    Args:
        trials: The candidates.
    """
    repairing = [t for t in trials.trials if t.candidate != ORDER and _repairs(t)]
    if not repairing:
        return None
    best = repairing[0].candidate
    equal = [
        t
        for t in repairing
        if t.candidate == best or trials.ahead(best, t.candidate)[1] <= MIN_LEAD
    ]
    return min(equal, key=lambda t: t.candidate.count("+"))


def _repairs(trial: Trial) -> bool:
    return trial.gain >= MIN_GAIN and trial.gain_low > 0 and trial.change_alone_low >= -MAX_HARM


def _advise(decision: str, described: str, trial: Trial, beside: str) -> Verdict:
    return Verdict(
        decision,
        f"{described}. {trial.name[0].upper()}{trial.name[1:]} gains {trial.gain:.3f} "
        f"({trial.gain_low:.3f} to {trial.gain_high:.3f}){beside}.",
        trial.candidate,
        trial.gain,
        trial.gain_low,
        trial.gain_high,
    )
