"""Writing is complete or absent, one writer at a time; a full or closed disk is one message."""

import errno
import os
import subprocess
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
    assert (tmp_path / "a.txt").read_text() == "text" and np.load(tmp_path / "a.npy").tolist() == [
        0,
        1,
        2,
    ]


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
    assert "no space left" in disk_message(
        RuntimeError("lance error: No space left on device (os error 28)")
    )


def test_a_path_through_a_file_is_one_message_of_the_command(tmp_path, forks):
    (tmp_path / "file").write_text("x")
    (tmp_path / "c.toml").write_text('[data]\nsources = ["sample"]\n')
    done = forks.mixling("train", tmp_path / "c.toml", "--out", tmp_path / "file" / "run")
    assert (
        done.returncode == 2
        and "Traceback" not in done.stderr
        and str(tmp_path / "file") in done.stderr
    )


def _hold(folder):
    with one_writer(folder):
        print("held", flush=True)
        time.sleep(60)


@pytest.fixture
def first(forks, tmp_path):
    """A process that writes to a folder `run`."""
    with forks.call(_hold, tmp_path / "run", stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_refused_and_the_lock_of_a_killed_one_is_gone(tmp_path, first):
    with (
        pytest.raises(MixlingError, match="another process writes here"),
        one_writer(tmp_path / "run"),
    ):
        pass
    first.kill()
    first.wait()
    with one_writer(tmp_path / "run"):
        assert names(tmp_path / "run") == [LOCK]


def test_a_run_that_another_process_trains_is_refused(chain, tmp_path, first):
    from tests.test_training import config

    from mixling.training.train import train

    with pytest.raises(MixlingError, match="another process writes here"):
        train(config(chain, steps=1), tmp_path / "run")
    first.kill()
    first.wait()
    train(config(chain, steps=1), tmp_path / "run")
    assert (tmp_path / "run" / "model" / "modules.json").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_refused_write_is_a_message_of_the_file_that_was_asked_for(tmp_path, number):
    """Also from Python, and where one temporary folder lies in another."""
    path = tmp_path / "out" / "model"
    with pytest.raises(MixlingError) as said, new_folder(path) as outer, new_folder(outer) as inner:
        raise OSError(number, os.strerror(number), str(inner / "model.safetensors"))
    assert str(said.value).startswith(f"{path}: ") and names(tmp_path / "out") == []
    with pytest.raises(MixlingError) as said, new_file(path):
        raise OSError(number, os.strerror(number))  # as file.write raises it
    assert str(said.value).startswith(f"{path}: ") and names(tmp_path / "out") == []


def test_a_file_that_is_read_while_another_is_written_keeps_its_name(tmp_path):
    with pytest.raises(MixlingError) as said, new_folder(tmp_path / "out"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "vectors/a.parquet")
    assert str(said.value).startswith("vectors/a.parquet: permission denied")


@pytest.mark.parametrize("number", [28, 30, 13])
def test_an_error_of_a_library_in_rust_is_known_by_its_number(number):
    message = disk_message(
        RuntimeError(f"lance error: Generic: {os.strerror(number)} (os error {number})")
    )
    assert message == disk_message(OSError(number, "", "")).removeprefix(": ")


def test_a_file_where_a_folder_is_wanted_is_one_message(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(MixlingError, match=str(tmp_path / "file")), one_writer(place):
            pass
        with pytest.raises(MixlingError, match=str(tmp_path / "file")):
            write_text(place / "a.txt", "text")
    assert (tmp_path / "file").read_text() == "x"


def _full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_a_full_disk_cut_off_is_done_again(chain, tmp_path, monkeypatch):
    """A corpus, an ONNX model and calibrated scores left a part that stood in the way of the second
    call.
    """
    from mixling.corpora.catalog import load
    from mixling.corpora.folder import write_folder
    from mixling.debiasing.debias import debias
    from mixling.models.onnx import export_onnx

    corpus = load("sample")
    calls = {
        "corpus": ("mixling.corpora.folder._write_table", lambda out: write_folder(corpus, out)),
        "model": ("torch.onnx.export", lambda out: export_onnx(str(chain), out)),
        "scores": (
            "mixling.debiasing.write_model.write_text",
            lambda out: debias(str(chain), "scores", ["sample"], out),
        ),
    }
    for name, (fails, call) in calls.items():
        with monkeypatch.context() as patched:
            patched.setattr(fails, _full)
            with pytest.raises(MixlingError, match=f"{tmp_path / name}: there is no space left"):
                call(tmp_path / name)
        assert names(tmp_path) == []
    for name in ("corpus", "scores"):
        calls[name][1](tmp_path / name)
    assert (tmp_path / "corpus" / "qrels" / "train.tsv").exists()
    assert (tmp_path / "scores" / "scores.json").exists() and (
        tmp_path / "scores" / "modules.json"
    ).exists()


def test_trec_files_are_complete_or_absent(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from mixling.evaluation.trec import write_trec

    task = SimpleNamespace(
        name="t", query_ids=["en:q"], passage_ids=["p"], relevant=[(0, 0)], grades=[1]
    )
    write_trec(task, SimpleNamespace(top=[[0]], top_scores=[[0.5]]), tmp_path)
    before = {p.name: p.read_text() for p in tmp_path.iterdir()}
    with pytest.raises(KeyError):
        write_trec(task, SimpleNamespace(top=[[0]], top_scores=[_Cut()]), tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == before and set(before) == {
        "t.qrels",
        "t.run",
    }


class _Cut:
    """A row whose reading fails."""

    def __iter__(self):
        raise KeyError("cut off")


def test_a_study_and_a_demo_have_one_writer(tmp_path):
    from tests.test_study import TEXT

    from mixling.studies.demo import demo
    from mixling.studies.study import study

    (tmp_path / "s.toml").write_text(TEXT.format(model="none"))
    for call in (
        lambda: study(tmp_path / "s.toml", tmp_path / "runs"),
        lambda: demo(tmp_path / "runs"),
    ):
        with (
            one_writer(tmp_path / "runs"),
            pytest.raises(MixlingError, match="another process writes here"),
        ):
            call()
    assert names(tmp_path / "runs") == [LOCK]
