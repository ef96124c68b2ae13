"""Training on several processes: texts partitioned by tokens, vectors gathered, gradients added.

Every process plans the same batch, encodes its part of the texts, sees all vectors, computes the
same loss, and sends each text's gradient back through its own encoder. So a batch is what it is on
one process.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from mixling.errors import MixlingError
from mixling.training.base_model import on_cpu
from mixling.training.config import TrainingConfig
from mixling.training.embedding_gradient import EmbeddingGradient, without_embedding

if TYPE_CHECKING:
    from accelerate import Accelerator


def start_accelerator(options: TrainingConfig, folder: Path) -> Accelerator:
    """Start Accelerate for a run: its processes, its device, and trackers.

    Number formats are chosen by `mixling.models.precision`, and gradients are added below.

    Args:
        options: The configuration of training.
        folder: The run's folder, where trackers write.

    Raises:
        MixlingError: A tracker is unknown or not installed.
    """
    from accelerate import Accelerator

    try:
        accelerator = Accelerator(
            cpu=on_cpu(options), project_dir=str(folder), log_with=options.trackers or None
        )
    except ValueError as error:
        if not options.trackers:
            raise
        raise MixlingError(
            f"training.trackers is {options.trackers}, which Accelerate refuses ({error}). Name "
            "trackers of Accelerate, for instance tensorboard."
        ) from None
    # Accelerate leaves out, with a warning, a tracker that is not installed.
    if len(accelerator.log_with) < len(set(options.trackers)):
        raise MixlingError(
            f"training.trackers is {', '.join(options.trackers)}, but not all of these are "
            "installed. For tensorboard: pip install 'mixling[trackers]'"
        )
    return accelerator


def rank_and_world_size() -> tuple[int, int]:
    """Return this process's number and the number of processes."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def partition_by_tokens(lengths: Sequence[int], n_processes: int) -> list[list[int]]:
    """Partition texts so that all processes have about as many tokens.

    Longest first, each text goes to the process that has the fewest tokens.

    Args:
        lengths: Tokens of each text.
        n_processes: The number of parts.

    Returns:
        The texts' numbers, a list a process.
    """
    parts: list[list[int]] = [[] for _ in range(n_processes)]
    loads = [(0, process) for process in range(n_processes)]
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        load, process = heapq.heappop(loads)
        parts[process].append(i)
        heapq.heappush(loads, (load + lengths[i], process))
    return parts


def all_gather_vectors(vectors: Tensor, indices: Sequence[int], n: int) -> Tensor:
    """Gather the vectors of all processes.

    Args:
        vectors: This process's vectors, float `[len(indices), dim]`.
        indices: Which texts they are of.
        n: The number of texts of all processes.

    Returns:
        All vectors, float `[n, dim]`, without gradient.
    """
    n_processes = rank_and_world_size()[1]
    if n_processes == 1 and len(indices) == n:
        gathered = torch.empty_like(vectors)
    else:
        gathered = vectors.new_zeros(n, vectors.shape[1])
    gathered[torch.tensor(indices, dtype=torch.long, device=vectors.device)] = vectors
    if n_processes > 1:
        dist.all_reduce(gathered)  # each row is zero on all processes but one
    return gathered


def all_reduce_sum(value: float, device: torch.device) -> float:
    """Add a number over all processes."""
    if rank_and_world_size()[1] == 1:
        return value
    dtype = torch.float64 if device.type == "cpu" else torch.float32
    total = torch.tensor([value], device=device, dtype=dtype)
    dist.all_reduce(total)
    return float(total)


def all_reduce_gradients(
    weights: Sequence[torch.nn.Parameter], embedding_gradient: EmbeddingGradient | None
) -> None:
    """Add the gradients of all processes, in one order and so to the same bits on each.

    Args:
        weights: The weights that are trained.
        embedding_gradient: The gradient of the embedding table, if it is kept by rows.
    """
    if rank_and_world_size()[1] == 1:
        return
    dense = without_embedding(weights, embedding_gradient)
    # A weight may have a gradient on some processes only; all must call all_reduce alike.
    has_gradient = torch.tensor(
        [float(w.grad is not None) for w in dense], device=weights[0].device
    )
    dist.all_reduce(has_gradient)
    for weight, count in zip(dense, has_gradient.tolist(), strict=True):
        if count:
            gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
            weight.grad = gradient.contiguous()
            dist.all_reduce(weight.grad)
    if embedding_gradient is not None:
        _all_reduce_rows(embedding_gradient)


def _all_reduce_rows(embedding_gradient: EmbeddingGradient) -> None:
    """Add the rows of the embedding's gradient that any process has touched."""
    rows, device = embedding_gradient.rows(), embedding_gradient.weight.device
    counts = [
        torch.zeros(1, dtype=torch.long, device=device) for _ in range(rank_and_world_size()[1])
    ]
    dist.all_gather(counts, torch.tensor([len(rows)], device=device))
    # all_gather takes tensors of one size: pad to the largest count, ids with -1
    size = int(max(counts))
    ids = torch.full((size,), -1, dtype=torch.long, device=device)
    values = torch.zeros(size, embedding_gradient.weight.shape[1], device=device)
    ids[: len(rows)], values[: len(rows)] = rows, embedding_gradient.gradient[rows]
    all_ids, all_values = (
        [torch.empty_like(ids) for _ in counts],
        [torch.empty_like(values) for _ in counts],
    )
    dist.all_gather(all_ids, ids)
    dist.all_gather(all_values, values)
    touched = torch.unique(torch.cat(all_ids))
    touched = touched[touched >= 0]
    total = torch.zeros(len(touched), values.shape[1], device=device)
    for process_ids, process_values, count in zip(all_ids, all_values, counts, strict=True):
        places = torch.searchsorted(touched, process_ids[: int(count)])
        total.index_add_(0, places, process_values[: int(count)])
    embedding_gradient.put(touched, total)
