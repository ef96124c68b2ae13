"""The order in which the question groups of one cell are visited, computed for any batch directly.

Question groups on one passage group form a *block*; no two of a block may stand in a batch. Every group is
to come once before any comes twice, in batches of exactly B, over the seams between rounds as well. How:

- Blocks are laid one after another, largest first, on a strip of N places, and the strip is cut into rows of
  G = N // B places. A round reads the rows column by column. A column is at least B rows high, so a batch (B
  places in reading order) never meets one row twice, not even where one column or round ends in it.
- A block lies in one row, so it never meets itself; or over the end of a row, and then its two parts lie in
  columns at least two apart, which no batch touches together.
- Blocks that lie whole in a row are shuffled with each other anew in each row and round. The few that lie over
  an end stay.
- A block may have at most G members a round. A larger one sends as many, others in the next round.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixling.batches.permutation import mix, permute, uniform

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class _Strip:
    """A strip laid out. members: groups by block; begin, count, taken: of each block, where its members begin, how many
    there are and how many a round sends; owner, place: of each place, its block and which of the block's it is; row:
    places a row; low, high: of each row, the places that are shuffled; n: places; capped, collisions: see `Stream`."""

    members: np.ndarray
    begin: np.ndarray
    count: np.ndarray
    taken: np.ndarray
    owner: np.ndarray
    place: np.ndarray
    row: int
    low: np.ndarray
    high: np.ndarray
    n: int
    capped: int
    collisions: float


class Stream:
    """Visits of groups 0 … n-1 whose blocks are `block`: int64 [n]; batches of `size`, at most one a block.

    The strip is laid when the first batch is asked for: of ten million groups it takes over a second.
    """

    def __init__(self, block: np.ndarray, size: int, key: int):
        self.block, self.size, self.key = _renumbered(block), size, key
        self.blocks = int(self.block.max()) + 1
        if self.blocks < size:
            raise ValueError(f"{self.blocks} passage groups cannot fill a batch of {size}")

    @property
    def capped(self) -> int:
        """Blocks that cannot send all members in a round."""
        return self.strip.capped

    @property
    def collisions(self) -> float:
        """Pairs of one block that a blind draw of a batch would hold on average."""
        return self.strip.collisions

    @cached_property
    def strip(self) -> _Strip:
        """Blocks on their strip, largest first, else by hash."""
        count = np.bincount(self.block)
        taken = np.minimum(count, _cap(count, self.size))
        order = np.argsort(mix(self.key, np.arange(len(count))), kind="stable")
        order = order[np.argsort(-taken[order], kind="stable")]
        n = int(taken.sum())
        met = float((count * (count - 1)).sum()) / max(len(self.block) * (len(self.block) - 1), 1)
        ends = np.cumsum(taken[order])
        left, right = (np.repeat(x, taken[order]) for x in (ends - taken[order], ends))
        row = n // self.size
        first = np.arange(0, n, row)
        last = np.minimum(first + row, n) - 1
        return _Strip(
            members=np.argsort(self.block, kind="stable"),
            begin=np.concatenate([[0], np.cumsum(count)[:-1]]),
            count=count,
            taken=taken,
            owner=np.repeat(order, taken[order]),
            place=np.arange(n) - left,
            row=row,
            low=np.where(left[first] == first, first, right[first]),
            high=np.where(right[last] == last + 1, last + 1, left[last]),
            n=n,
            capped=int((count > taken).sum()),
            collisions=self.size * (self.size - 1) / 2 * met,
        )

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Groups of batch `step` (int64 [size]) and the round in which each is visited."""
        s = self.strip
        round_, y = np.divmod(step * self.size + np.arange(self.size, dtype=np.int64), s.n)
        height, tall = divmod(s.n, s.row)
        in_tall = y < tall * (height + 1)
        rest = y - tall * (height + 1)
        column = np.where(in_tall, y // (height + 1), tall + rest // height)
        row = np.where(in_tall, y % (height + 1), rest % height)
        place = row * s.row + column
        low, high = s.low[row], s.high[row]
        free = (place >= low) & (place < high)
        key = mix(self.key, round_, row)
        place[free] = low[free] + permute((place - low)[free], (high - low)[free], key[free])
        owner = s.owner[place]
        turn = (s.place[place] + round_ * s.taken[owner]) % s.count[owner]
        return s.members[s.begin[owner] + turn], round_

    def pick(self, groups: np.ndarray, round_: np.ndarray, salt: int) -> np.ndarray:
        """A number in [0, 1) for each visit: by hash over groups, evenly spread over a group's visits."""
        return (uniform(self.key, salt, groups) + round_ * _GOLDEN) % 1.0


def _cap(count: np.ndarray, size: int) -> int:
    """Most members that a block may send in a round: the largest c with c <= sum(min(count, c)) // size."""
    low, high = 1, int(count.max())
    while low < high:
        middle = (low + high + 1) // 2
        if middle <= int(np.minimum(count, middle).sum()) // size:
            low = middle
        else:
            high = middle - 1
    return low


def _renumbered(block: np.ndarray) -> np.ndarray:
    """Blocks as 0, 1, …, in their order: what np.unique's inverse is, without its sort."""
    seen = np.zeros(int(block.max()) + 1, bool)
    seen[block] = True
    return (np.cumsum(seen) - 1)[block]
