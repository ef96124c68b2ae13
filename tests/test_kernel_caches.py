"""What torch and oneDNN keep of compiled kernels is bounded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mixling.errors import MixlingError
from mixling.models.kernel_caches import CAPACITY, VARIABLES, limit_kernel_caches
from mixling.searching.query import Searcher

# Products of 250 shapes; prints the megabytes that they took.
CODE = """
import torch
from pathlib import Path
from mixling.models.kernel_caches import limit_kernel_caches

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("VmRSS")).split()[1]) / 1024

torch.set_num_threads(1)
limit_kernel_caches()
weight = torch.randn(768, 384).bfloat16()
states = torch.randn(600, 384).bfloat16()
def multiply(counts):
    for n in counts:
        torch.nn.functional.linear(states[:n].contiguous(), weight)
multiply(range(300, 320))
before = resident()
multiply(range(320, 570))
print(resident() - before)
"""


def test_a_searcher_limits_the_caches_and_keeps_what_is_stated(tmp_path, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MixlingError, match="is not a store"):
        Searcher(str(tmp_path / "store"))
    assert [os.environ[name] for name in VARIABLES] == [str(CAPACITY)] * 2
    monkeypatch.setenv(VARIABLES[0], "7")
    limit_kernel_caches()
    assert [os.environ[name] for name in VARIABLES] == ["7", str(CAPACITY)]


@pytest.mark.slow
def test_products_of_ever_new_shapes_take_bounded_memory():
    """Without a limit they took 180 MB on a processor with AMX."""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    environment = {x: v for x, v in os.environ.items() if x not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 120
