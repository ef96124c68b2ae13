"""The order in which the translation groups of one stratum are visited, for any batch directly.

No two translation groups of a *conflict group* (groups that share passages) may stand in one batch.
Every group is to come once before any comes twice, in batches of exactly B, also where one round of
all groups ends and the next begins. The arithmetic:

- The conflict groups are laid one after another, largest first, on a strip of N places. The strip
  is cut into rows of G = N // B places, and a round reads the rows column by column. A column is at
  least B rows high, so a batch (B places in reading order) never meets one row twice, not even
  where a column or a round ends inside it.
- A conflict group that lies in one row therefore never meets itself. One that lies over the end of
  a row has its two parts in columns that are at least two apart, and no batch touches both.
- Conflict groups that lie whole in a row are shuffled with each other anew in each row and round.
  The few that lie over an end stay.
- A conflict group may have at most G members a round; those of exactly G come first and fill a row
  each. A larger one sends as many, and the others in the next rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixling.batches.permutation import mix, permute, uniform

# multiples of the golden ratio, modulo 1, fill the interval as evenly as any sequence can
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class _Strip:
    """The places of one round.

    Args:
        members: Translation groups, ordered by conflict group, int64 `[groups]`.
        begin: Where in `members` each conflict group begins, `[conflict_groups]`.
        count: How many members each conflict group has, `[conflict_groups]`.
        per_round: How many of them one round visits, `[conflict_groups]`.
        owner: The conflict group at each place, `[n]`.
        rank: Which of its conflict group's places each place is, `[n]`.
        row: Number of places in a row.
        low: First place of each row that is shuffled, `[rows]`.
        high: End of the places of each row that are shuffled, `[rows]`.
        n: Number of places.
        capped: See `Stream`.
        expected_conflicts: See `Stream`.
    """

    members: np.ndarray
    begin: np.ndarray
    count: np.ndarray
    per_round: np.ndarray
    owner: np.ndarray
    rank: np.ndarray
    row: int
    low: np.ndarray
    high: np.ndarray
    n: int
    capped: int
    expected_conflicts: float


class Stream:
    """Batches of translation groups 0 … n-1, with at most one of each conflict group.

    The strip is laid out when the first batch is asked for: for ten million groups this takes over
    a second.

    Args:
        conflict_group: The conflict group of each translation group, int64 `[n]`.
        size: Number of translation groups in a batch.
        key: The seed of the order.

    Raises:
        ValueError: There are fewer conflict groups than a batch has places.
    """

    def __init__(self, conflict_group: np.ndarray, size: int, key: int):
        self.conflict_group, self.size, self.key = _renumber(conflict_group), size, key
        self.n_conflict_groups = int(self.conflict_group.max()) + 1
        if self.n_conflict_groups < size:
            raise ValueError(
                f"a batch of {size} cannot be filled from {self.n_conflict_groups} passage "
                f"groups; set batches.size to {self.n_conflict_groups} or less"
            )

    @property
    def capped(self) -> int:
        """Number of conflict groups that cannot send all members in one round."""
        return self.strip.capped

    @property
    def expected_conflicts(self) -> float:
        """Mean number of pairs of one conflict group in a batch that is drawn blindly."""
        return self.strip.expected_conflicts

    @cached_property
    def strip(self) -> _Strip:
        """The conflict groups on their strip: largest first, those of one size by hash."""
        count = np.bincount(self.conflict_group)
        per_round = np.minimum(count, _cap(count, self.size))
        order = np.argsort(mix(self.key, np.arange(len(count))), kind="stable")
        order = order[np.argsort(-per_round[order], kind="stable")]
        n = int(per_round.sum())
        # the chance that two groups, drawn without replacement, are of one conflict group
        n_groups = len(self.conflict_group)
        chance = float((count * (count - 1)).sum()) / max(n_groups * (n_groups - 1), 1)
        ends = np.cumsum(per_round[order])
        # left, right: of each place, where the places of its conflict group begin and end
        left, right = (np.repeat(x, per_round[order]) for x in (ends - per_round[order], ends))
        row = n // self.size
        first = np.arange(0, n, row)
        last = np.minimum(first + row, n) - 1
        return _Strip(
            members=np.argsort(self.conflict_group, kind="stable"),
            begin=np.concatenate([[0], np.cumsum(count)[:-1]]),
            count=count,
            per_round=per_round,
            owner=np.repeat(order, per_round[order]),
            rank=np.arange(n) - left,
            row=row,
            low=np.where(left[first] == first, first, right[first]),
            high=np.where(right[last] == last + 1, last + 1, left[last]),
            n=n,
            capped=int((count > per_round).sum()),
            expected_conflicts=self.size * (self.size - 1) / 2 * chance,
        )

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the translation groups of a batch, and the round in which each is visited.

        Args:
            step: Number of the batch, from 0.

        Returns:
            Translation groups and rounds, int64 `[size]` each.
        """
        s = self.strip
        round_, nth = np.divmod(step * self.size + np.arange(self.size, dtype=np.int64), s.n)
        # The last row may be short: the first `tall` columns have one place more than the others.
        height, tall = divmod(s.n, s.row)
        in_tall = nth < tall * (height + 1)
        after_tall = nth - tall * (height + 1)
        column = np.where(in_tall, nth // (height + 1), tall + after_tall // height)
        row = np.where(in_tall, nth % (height + 1), after_tall % height)
        place = row * s.row + column
        low, high = s.low[row], s.high[row]
        free = (place >= low) & (place < high)
        key = mix(self.key, round_, row)
        place[free] = low[free] + permute((place - low)[free], (high - low)[free], key[free])
        # A capped conflict group goes on in each round with the members after those of the last.
        owner = s.owner[place]
        member = (s.rank[place] + round_ * s.per_round[owner]) % s.count[owner]
        return s.members[s.begin[owner] + member], round_

    def pick(self, groups: np.ndarray, round_: np.ndarray, salt: int) -> np.ndarray:
        """Return a number in [0, 1) for each visit of a translation group.

        It starts at a hash of the group and moves by the golden ratio each round: evenly spread
        over the groups and over the visits of each group.

        Args:
            groups: Translation groups, int64 `[k]`.
            round_: The round of each visit, int64 `[k]`.
            salt: Distinguishes several numbers for the same visit.

        Returns:
            float64 `[k]`.
        """
        return (uniform(self.key, salt, groups) + round_ * _GOLDEN) % 1.0


def _cap(count: np.ndarray, size: int) -> int:
    """Return the largest c with c <= sum(min(count, c)) // size, by bisection.

    The right side is the length G of a row if no conflict group sends more than c members a round.
    """
    low, high = 1, int(count.max())
    while low < high:
        middle = (low + high + 1) // 2
        if middle <= int(np.minimum(count, middle).sum()) // size:
            low = middle
        else:
            high = middle - 1
    return low


def _renumber(labels: np.ndarray) -> np.ndarray:
    """Renumber labels as 0, 1, … in their order, as the inverse of np.unique but without a sort."""
    seen = np.zeros(int(labels.max()) + 1, bool)
    seen[labels] = True
    numbers: np.ndarray = (np.cumsum(seen) - 1)[labels]
    return numbers
