"""The number format of an encoder follows from the hardware alone."""

import pytest

from mixling import machine
from mixling.errors import MixlingError
from mixling.models.precision import choose_precision


@pytest.mark.parametrize(
    ("flags", "intel", "auto", "supported"),
    [
        ({"avx2", "avx512_bf16", "amx_bf16"}, True, "bf16", True),
        ({"avx2", "avx512_bf16"}, False, "bf16", True),
        ({"avx2", "avx512_bf16"}, True, "fp32", True),  # slower than fp32
        ({"bf16"}, False, "bf16", True),
        ({"avx2"}, True, "fp32", False),
    ],
)
def test_auto_is_bf16_where_that_is_faster(monkeypatch, flags, intel, auto, supported):
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(machine, "_is_intel", lambda: intel)
    for name in ("has_bf16", "has_fast_bf16"):
        monkeypatch.setattr(f"mixling.models.precision.{name}", getattr(machine, name))
    assert choose_precision("cpu") == auto and choose_precision("cpu", "fp32") == "fp32"
    if supported:
        assert choose_precision("cpu", "bf16") == "bf16"
    else:
        with pytest.raises(MixlingError, match="no bf16 instructions"):
            choose_precision("cpu", "bf16")


def test_an_unknown_format_is_refused():
    with pytest.raises(MixlingError, match="Did you mean 'bf16'"):
        choose_precision("cpu", "bf61")
