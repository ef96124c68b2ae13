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

import numpy as np

from mixling.batches.permutation import mix, permute, unit

_GOLDEN = (5**0.5 - 1) / 2


class Stream:
    """Visits of groups 0 … n-1 whose blocks are `block`: int64 [n]; batches of `size`, at most one a block.

    capped: blocks that cannot send all members in a round; collisions: pairs of one block that a blind draw of a
    batch would hold on average.
    """

    def __init__(self, block: np.ndarray, size: int, key: int):
        _, block = np.unique(block, return_inverse=True)
        count = np.bincount(block)
        if len(count) < size:
            raise ValueError(f"{len(count)} passage groups cannot fill a batch of {size}")
        self.size, self.key = size, key
        cap = _cap(count, size)
        taken = np.minimum(count, cap)
        order = np.argsort(mix(key, np.arange(len(count))), kind="stable")
        order = order[np.argsort(-taken[order], kind="stable")]
        self.n = int(taken.sum())
        self.capped = int((count > taken).sum())
        met = float((count * (count - 1)).sum()) / max(len(block) * (len(block) - 1), 1)
        self.collisions = size * (size - 1) / 2 * met
        self._lay(block, count, taken, order)

    def _lay(self, block: np.ndarray, count: np.ndarray, taken: np.ndarray, order: np.ndarray) -> None:
        self.members = np.argsort(block, kind="stable")
        begin = np.concatenate([[0], np.cumsum(count)[:-1]])
        ends = np.cumsum(taken[order])
        left, right = (np.repeat(x, taken[order]) for x in (ends - taken[order], ends))
        self.owner = np.repeat(order, taken[order])
        self.place = np.arange(self.n) - left
        self.begin, self.count, self.taken = begin, count, taken
        self.row = self.n // self.size
        first = np.arange(0, self.n, self.row)
        last = np.minimum(first + self.row, self.n) - 1
        self.low = np.where(left[first] == first, first, right[first])
        self.high = np.where(right[last] == last + 1, last + 1, left[last])

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Groups of batch `step` (int64 [size]) and the round in which each is visited."""
        round_, y = np.divmod(step * self.size + np.arange(self.size, dtype=np.int64), self.n)
        height, tall = divmod(self.n, self.row)
        in_tall = y < tall * (height + 1)
        rest = y - tall * (height + 1)
        column = np.where(in_tall, y // (height + 1), tall + rest // height)
        row = np.where(in_tall, y % (height + 1), rest % height)
        place = row * self.row + column
        low, high = self.low[row], self.high[row]
        free = (place >= low) & (place < high)
        key = mix(self.key, round_, row)
        place[free] = low[free] + permute((place - low)[free], (high - low)[free], key[free])
        owner = self.owner[place]
        turn = (self.place[place] + round_ * self.taken[owner]) % self.count[owner]
        return self.members[self.begin[owner] + turn], round_

    def pick(self, groups: np.ndarray, round_: np.ndarray, salt: int) -> np.ndarray:
        """A number in [0, 1) for each visit: by hash over groups, evenly spread over a group's visits."""
        return (unit(self.key, salt, groups) + round_ * _GOLDEN) % 1.0


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
