"""Threads fit the machine: a container's quota, other work, a short call, what the user states."""

import math
import subprocess
import sys
import threading
import time

import pytest
import torch

from mixling import threads
from mixling.errors import MixlingError


@pytest.fixture(autouse=True)
def four(monkeypatch):
    """A machine of four cores on which nobody works, torch with four threads."""
    for name in (threads.VARIABLE, "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "processors", lambda: (0, 1, 2, 3))
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "quota", lambda: math.inf)
    monkeypatch.setattr(threads, "other_work", lambda: 0.0)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("others", "expected"),
    [(0, 4), (0.3, 4), (0.67, 3), (1, 3), (1.4, 3), (2, 2), (3, 1), (4, 1), (40, 1)],
)
def test_others_keep_their_processors(monkeypatch, others, expected):
    monkeypatch.setattr(threads, "other_work", lambda: others)
    assert threads.choose_threads() == expected


def test_on_two_processors_one_busy_process_leaves_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "processors", lambda: (0, 1))
    monkeypatch.setattr(threads, "cores", lambda: 2)
    # beside two spinning threads it gets two thirds of a processor, beside one a whole one
    for others in (0.6, 0.67, 1.0):
        monkeypatch.setattr(threads, "other_work", lambda n=others: n)
        assert threads.choose_threads() == 1


def test_two_threads_of_one_core_count_once(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)  # four processors
    assert threads.choose_threads() == 2
    monkeypatch.setattr(threads, "other_work", lambda: 2.0)  # on the two that are left
    assert threads.choose_threads() == 2
    monkeypatch.setattr(threads, "other_work", lambda: 3.0)
    assert threads.choose_threads() == 1


@pytest.mark.parametrize(("quota", "expected"), [(1, 1), (0.5, 1), (1.5, 2), (2, 2), (8, 4)])
def test_a_quota_limits_threads(monkeypatch, quota, expected):
    monkeypatch.setattr(threads, "quota", lambda: quota)
    assert threads.choose_threads() == expected


def test_a_short_call_has_one_thread():
    assert threads.choose_threads(threads.SHORT_CALL) == 1
    assert threads.choose_threads(threads.SHORT_CALL + 1) == 4


def test_what_the_user_states_holds(monkeypatch):
    torch.set_num_threads(2)
    assert threads.choose_threads() == 2
    monkeypatch.setenv(threads.VARIABLE, "3")
    monkeypatch.setattr(threads, "other_work", lambda: 4.0)
    assert threads.choose_threads() == threads.choose_threads(1) == 3
    assert "3 (MIXLING_THREADS)" in threads.describe_threads()
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv(threads.VARIABLE, wrong)
        with pytest.raises(MixlingError, match=f"MIXLING_THREADS is '{wrong}'"):
            threads.choose_threads()


def test_torchs_number_is_as_it_was_afterwards():
    with threads.fitting_threads(1) as n:
        assert n == torch.get_num_threads() == 1
        with threads.fitting_threads() as inner:  # the limit is what it was outside
            assert inner == torch.get_num_threads() == 4
    assert torch.get_num_threads() == 4
    with pytest.raises(ValueError, match="x"), threads.fitting_threads(1):
        raise ValueError("x")
    assert torch.get_num_threads() == 4


def test_calls_of_several_threads_leave_the_number_as_it_was():
    def work():
        for i in range(200):
            with threads.fitting_threads(1 if i % 2 else None):
                pass

    workers = [threading.Thread(target=work) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert torch.get_num_threads() == 4


GROUPS = {
    "2": {"0::/a/b": {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}},
    "2 inner": {"0::/a/b": {"a/cpu.max": "max 100000", "a/b/cpu.max": "50000 100000"}},
    "1": {
        "4:cpu,cpuacct:/a": {
            "cpu,cpuacct/a/cpu.cfs_quota_us": "150000",
            "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        }
    },
    "1 without": {
        "1:cpu:/": {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
    },
    "none": {"0::/": {}},
}


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2", 1.5), ("2 inner", 0.5), ("1", 1.5), ("1 without", math.inf), ("none", math.inf)],
)
def test_quotas_of_both_versions_are_read(tmp_path, version, expected, monkeypatch):
    monkeypatch.undo()
    ((line, files),) = GROUPS[version].items()
    (tmp_path / "own").write_text(f"7:memory:/elsewhere\n{line}\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.quota.__wrapped__(tmp_path, tmp_path / "own") == expected


def test_others_are_all_that_is_busy_less_own_work(monkeypatch):
    monkeypatch.undo()
    now = time.perf_counter()
    monkeypatch.setattr(threads._state, "last", threads._Look(now - 2, 50.0, 7.0))
    monkeypatch.setattr(threads._state, "others", 9.0)
    monkeypatch.setattr(threads, "_look", lambda: threads._Look(now, 53.0, 7.5))
    assert threads.other_work() == pytest.approx(1.25)
    assert threads.other_work() == pytest.approx(1.25)  # not long ago: the same look


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what others do")
def test_the_work_of_a_child_is_busy_and_not_own(monkeypatch):
    monkeypatch.undo()
    code = "import time\nwhile time.process_time() < 1.0: pass"
    before = threads._look()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = threads._look()
    assert after.busy - before.busy > 0.7  # whatever else runs; the counters have ticks of 10 ms
    assert after.own - before.own < 0.5
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    assert threads._look().own - after.own >= 0.5


def test_the_option_sets_the_number(run, monkeypatch, tmp_path):
    import os

    monkeypatch.setenv(threads.VARIABLE, "7")  # so that it is put back afterwards
    assert "2 (MIXLING_THREADS)" in run("doctor", "--threads", "2")[1]
    assert os.environ[threads.VARIABLE] == "2"
    assert run("doctor", "--threads", "0")[0] == 2
