"""One optimizer step: gradients of its micro-batches, clipping, the update, the line of the log."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mixling.batches.permutation import mix
from mixling.errors import MixlingError
from mixling.models.retriever import Retriever
from mixling.training.backward import backward
from mixling.training.config import TrainingConfig
from mixling.training.embedding_gradient import EmbeddingGradient, zero_grad
from mixling.training.objective import Objective
from mixling.training.optimizer import clip_gradients, learning_rate_factor
from mixling.training.processes import all_reduce_gradients
from mixling.training.tokenized import TokenizedBatch


@dataclass(frozen=True)
class TrainingStep:
    """The state that every step of a run uses.

    Attributes:
        options: The configuration of training.
        retriever: The model that is trained.
        objective: What is minimized.
        optimizer: Updates the weights of model and objective.
        weights: The model's weights that are trained.
        embedding_gradient: Gradient of the embedding table by rows, if it is kept so.
        precision: Number format of the encoder, "fp32" or "bf16".
    """

    options: TrainingConfig
    retriever: Retriever
    objective: Objective
    optimizer: torch.optim.Optimizer
    weights: Sequence[torch.nn.Parameter]
    embedding_gradient: EmbeddingGradient | None
    precision: str

    def take(self, step: int, batches: Sequence[TokenizedBatch]) -> dict[str, Any]:
        """Run one step.

        Args:
            step: Number of the step. Learning rate and dropout are functions of it.
            batches: The micro-batches, whose gradients are averaged.

        Returns:
            The line of the log: step, kind, loss, lr, gradient (its norm), tokens, seconds,
            pairs_per_second.

        Raises:
            MixlingError: Loss or gradient are not finite. The weights are as they were.
        """
        options, start_time = self.options, time.perf_counter()
        factor = learning_rate_factor(
            step, options.steps, options.warmup, options.schedule, options.decay
        )
        learning_rate = options.lr * factor
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = sum(
            self._backward(step, i, batch, 1 / len(batches)) / len(batches)
            for i, batch in enumerate(batches)
        )
        if not math.isfinite(loss):
            raise self._stopped(f"the loss is {loss}", step, learning_rate)
        # Each process computes the whole loss, so the objective's own weights need no reduction.
        all_reduce_gradients(self.weights, self.embedding_gradient)
        weights = [*self.weights, *self.objective.parameters()]
        norm = clip_gradients(weights, self.embedding_gradient, options.max_grad_norm)
        if not math.isfinite(norm):
            raise self._stopped(f"the gradient's norm is {norm}", step, learning_rate)
        self.optimizer.step()
        zero_grad(weights, self.embedding_gradient)
        seconds = time.perf_counter() - start_time
        return {
            "step": step,
            "kind": batches[-1].batch_type,
            "loss": loss,
            "lr": learning_rate,
            "gradient": norm,
            "tokens": sum(b.n_tokens for b in batches),
            "seconds": round(seconds, 3),
            "pairs_per_second": sum(len(b.batch.queries) for b in batches) / seconds,
        }

    def _backward(self, step: int, number: int, batch: TokenizedBatch, loss_scale: float) -> float:
        """Add the gradients of a micro-batch and return its loss."""
        return backward(
            self.retriever,
            batch.tokens,
            self.objective.loss_of(batch.batch),
            token_loss=self.objective.token_loss_of(batch.batch),
            loss_scale=loss_scale,
            max_cached_tokens=self.options.max_cached_tokens,
            # dropout has a seed of its own in every micro-batch; torch takes 63 bits
            seed=int(mix(self.options.seed, step, number) >> 1),
            precision=self.precision,
        )

    def _stopped(self, reason: str, step: int, learning_rate: float) -> MixlingError:
        """Say why a run stops and which checkpoint is left."""
        options = self.options
        saved = step // options.checkpoint_every * options.checkpoint_every
        left = f"The checkpoint of step {saved} is kept" if saved else "No checkpoint was due yet"
        return MixlingError(
            f"{reason} at step {step}, learning rate {learning_rate:.3g}. Lower training.lr (now "
            f"{options.lr:g}) or raise objective.temperature, with another --out. {left}."
        )
