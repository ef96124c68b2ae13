"""Writing is complete or absent, one writer at a time; a full or closed disk is one message."""

import errno
import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from mixling.corpora.files import write_array, write_text
from mixling.disk import LOCK, disk_message, new_file, new_folder, one_writer
from mixling.errors import MixlingError


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), new_file(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]
    with pytest.raises(ValueError), new_folder(tmp_path / "f") as temporary:
        (temporary / "part").write_text("half")
        raise ValueError
    assert names(tmp_path) == ["a.txt"]


def test_files_of_one_stem_do_not_meet_on_their_way(tmp_path):
    """a.npy and a.txt were both written by way of a.tmp."""
    with new_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("text")
        write_array(tmp_path / "a.npy", np.arange(3))
    assert (tmp_path / "a.txt").read_text() == "text" and np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path):
    old, new, other = (tmp_path / f".a.txt.{n}.tmp" for n in (99999999, 99999998, os.getppid()))
    for path in (old, new, other):
        path.write_text("half")
    for path in (old, other):
        os.utime(path, (time.time() - 7200,) * 2)
    write_text(tmp_path / "a.txt", "whole")
    assert names(tmp_path) == sorted(["a.txt", new.name, other.name])


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.ENOTDIR, "a part of the path is a file"),
    ],
)
def test_a_disk_that_refuses_is_one_message_with_its_path(number, says):
    message = disk_message(OSError(number, os.strerror(number), "runs/model"))
    assert message.startswith("runs/model: ") and says in message
    assert disk_message(ValueError("no such thing")) is None and disk_message(KeyError("x")) is None


def test_what_libraries_say_of_a_full_disk_is_known():
    assert "no space left" in disk_message(RuntimeError("lance error: No space left on device (os error 28)"))


def test_a_path_through_a_file_is_one_message_of_the_command(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "c.toml").write_text('[data]\nsources = ["sample"]\n')
    call = [sys.executable, "-m", "mixling", "train", str(tmp_path / "c.toml"), "--out", str(tmp_path / "file" / "run")]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr and str(tmp_path / "file") in done.stderr


def _hold(folder, ready):
    with one_writer(folder):
        ready.set()
        time.sleep(60)


def test_a_second_writer_is_refused_and_the_lock_of_a_killed_one_is_gone(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    first = context.Process(target=_hold, args=(tmp_path / "run", ready))
    first.start()
    assert ready.wait(60)
    with pytest.raises(MixlingError, match="another process writes here"), one_writer(tmp_path / "run"):
        pass
    first.kill()
    first.join()
    with one_writer(tmp_path / "run"):
        assert names(tmp_path / "run") == [LOCK]


def test_a_run_that_another_process_trains_is_refused(chain, tmp_path):
    from tests.test_training import config

    from mixling.training.train import train

    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    first = context.Process(target=_hold, args=(tmp_path / "run", ready))
    first.start()
    assert ready.wait(60)
    with pytest.raises(MixlingError, match="another process writes here"):
        train(config(chain, steps=1), tmp_path / "run")
    first.kill()
    first.join()
    train(config(chain, steps=1), tmp_path / "run")
    assert (tmp_path / "run" / "model" / "modules.json").exists()
