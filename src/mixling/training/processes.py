"""A step on several processes: texts shared out by tokens, vectors brought together, gradients added up.

Every process plans the same batch, encodes its share of the texts, sees all vectors, computes the same loss and
sends each text's gradient back through its own encoder. So a batch is what it is on one process, whatever their number.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from mixling.training.embedding_gradient import EmbeddingGradient, others


def rank_and_world_size() -> tuple[int, int]:
    """This process's number and how many there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def partition_by_tokens(lengths: Sequence[int], processes: int) -> list[list[int]]:
    """Indices of texts for each process, so that all have about as many tokens: longest first, to whom has least."""
    found: list[list[int]] = [[] for _ in range(processes)]
    loads = [(0, p) for p in range(processes)]
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        load, p = heapq.heappop(loads)
        found[p].append(i)
        heapq.heappush(loads, (load + lengths[i], p))
    return found


def all_gather_vectors(own: Tensor, indices: Sequence[int], n: int) -> Tensor:
    """All processes' vectors, [n, d], from each one's own, [len(indices), d]."""
    if rank_and_world_size()[1] == 1 and len(indices) == n:
        whole = torch.empty_like(own)
    else:
        whole = own.new_zeros(n, own.shape[1])
    whole[torch.tensor(indices, dtype=torch.long, device=own.device)] = own
    if rank_and_world_size()[1] > 1:
        dist.all_reduce(whole)
    return whole


def all_reduce_sum(value: float, device: torch.device) -> float:
    """A number's sum over processes."""
    if rank_and_world_size()[1] == 1:
        return value
    total = torch.tensor(
        [value], device=device, dtype=torch.float64 if device.type == "cpu" else torch.float32
    )
    dist.all_reduce(total)
    return float(total)


def all_reduce_gradients(
    parameters: Sequence[torch.nn.Parameter], table: EmbeddingGradient | None
) -> None:
    """Sum the gradients over processes, in the same order and so to the same bits on each."""
    if rank_and_world_size()[1] == 1:
        return
    rest = others(parameters, table)
    device = parameters[0].device
    has = torch.tensor([float(p.grad is not None) for p in rest], device=device)
    dist.all_reduce(has)
    for p, some in zip(rest, has.tolist(), strict=True):
        if some:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad.contiguous()
            dist.all_reduce(p.grad)
    if table is not None:
        rows = table.rows()
        counts = [
            torch.zeros(1, dtype=torch.long, device=device) for _ in range(rank_and_world_size()[1])
        ]
        dist.all_gather(counts, torch.tensor([len(rows)], device=device))
        most = int(max(counts))
        ids = torch.full((most,), -1, dtype=torch.long, device=device)
        values = torch.zeros(most, table.weight.shape[1], device=device)
        ids[: len(rows)], values[: len(rows)] = rows, table.gradient[rows]
        all_ids = [torch.empty_like(ids) for _ in counts]
        all_values = [torch.empty_like(values) for _ in counts]
        dist.all_gather(all_ids, ids)
        dist.all_gather(all_values, values)
        union = torch.cat(all_ids).unique()
        union = union[union >= 0]
        total = torch.zeros(len(union), values.shape[1], device=device)
        for i, v, n in zip(all_ids, all_values, counts, strict=True):
            total.index_add_(0, torch.searchsorted(union, i[: int(n)]), v[: int(n)])
        table.put(union, total)
