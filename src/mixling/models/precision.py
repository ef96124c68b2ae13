"""The number format that encoders compute in: one policy for encoding, training and serving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from mixling.errors import MixlingError, choose
from mixling.machine import cpu_flags, has_bf16, has_fast_bf16

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "fp32", "bf16"]
"""What a caller may ask for; "auto" takes bf16 where it is faster, else fp32."""


def choose_precision(
    device: torch.device | str, precision: Precision = "auto"
) -> Literal["fp32", "bf16"]:
    """Return the number format that an encoder on a device computes in.

    The choice depends on the hardware alone, so that two runs on one machine agree.

    Args:
        device: The device of the encoder's weights, for instance "cpu" or "cuda:0".
        precision: "fp32", "bf16", or "auto": bf16 if the GPU has it or the processor is faster in
            it.

    Returns:
        "fp32" or "bf16".

    Raises:
        MixlingError: `precision` is unknown, or it is bf16 and the device has no bf16.
    """
    import torch

    choose(precision, get_args(Precision), "precision")
    if precision == "fp32":
        return "fp32"
    device = torch.device(device)
    if device.type == "cpu":
        supported = has_bf16() if precision == "bf16" else has_fast_bf16()
    else:
        supported = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if supported:
        return "bf16"
    if precision == "auto":
        return "fp32"
    if device.type == "cpu":
        raise MixlingError(
            "precision is bf16, but this processor has no bf16 instructions (it has: "
            f"{', '.join(sorted(cpu_flags())) or 'none known'}). Use fp32 or auto."
        )
    raise MixlingError(f"precision is bf16, but the device {device} has no bf16. Use fp32 or auto.")
