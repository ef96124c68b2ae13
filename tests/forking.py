"""Processes that need not import anything: children of one that has imported it all.

`python forking.py DESCRIPTOR MODULES` imports what Mixling's commands use, and no more: it computes
nothing, so no thread of torch's is there to be lost. Then it forks a child for each request. A
child gets arguments, environment, folder and standard streams of its own, leads its process group,
ends as any Python program does, and dies of a real SIGKILL. What it does not show is that a program
imports what it needs; tests of that start a process of their own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pickle
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from pathlib import Path

MOST = 1 << 17  # bytes of a request
# what commands import as they run
MODULES = (
    "transformers.models.bert.modeling_bert",
    "transformers.models.xlm_roberta.modeling_xlm_roberta",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "sentence_transformers",
    "sentence_transformers.sentence_transformer.modules",
    "accelerate",
    "safetensors.torch",
    "pyarrow.parquet",
    "pyarrow.compute",
    "pydantic",
    "httpx",
    "rich.progress",
    "lancedb",
    "torch.distributed",
    "torch.optim",
    "torch.nn.functional",
    "mixling.cli.main",
    "mixling.training.train",
    "mixling.training.adapt_language",
    "mixling.preparation.mine_negatives",
    "mixling.preparation.translate",
    "mixling.encoding.shards",
    "mixling.evaluation.measure",
    "mixling.evaluation.benchmarks",
    "mixling.reports.evaluate",
    "mixling.debiasing.debias",
    "mixling.auditing.audit",
    "mixling.searching.index",
    "mixling.searching.lance",
    "mixling.searching.query",
    "mixling.repairing.repair",
    "mixling.repairing.stores",
    "mixling.studies.study",
    "mixling.models.retriever",
    "mixling.models.api",
)
COMMAND = "from mixling.cli.main import main; main()"
CALL = "import pickle, sys; f, a = pickle.loads(bytes.fromhex(sys.argv[1])); f(*a)"


class Forked:
    """A child, to be used as a `subprocess.Popen`."""

    def __init__(self, status: int, streams: list):
        self._status = open(status, "rb", buffering=0)  # noqa: SIM115
        self.stdin, self.stdout, self.stderr = streams
        self.returncode: int | None = None
        self.pid = int(self._line(None) or 0)
        assert self.pid, "the process that forks has ended"

    def _line(self, timeout: float | None) -> bytes | None:
        """Read the child's id or its exit status; None where it is not there in time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._status, selectors.EVENT_READ)
            return self._status.readline() if selector.select(timeout) else None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            line = self._line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired("forked", timeout or 0)
            assert line, "the process that forks has ended"
            self.returncode = int(line)
            self._status.close()
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()


class Forks:
    """The process that forks, from the side of a test.

    Args:
        modules: What it imports.
    """

    def __init__(self, modules=MODULES):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def close(self):
        """End the process, which kills the children that it still has."""
        self.socket.close()
        self.process.wait()

    def start(
        self,
        code,
        *arguments,
        env=None,
        cwd=None,
        stdin=None,
        stdout=None,
        stderr=None,
        paths=None,
    ) -> Forked:
        """Start a child.

        Args:
            code: What it runs: Python code, or the path of a script.
            arguments: Its `sys.argv[1:]`.
            env: Its environment; None: that of this process.
            cwd: Its folder; None: that of this process.
            stdin: As `subprocess.Popen` takes it, with pipes of text.
            stdout: See `stdin`.
            stderr: See `stdin`; `subprocess.STDOUT` too.
            paths: Its `sys.path`; None: that of a new process.
        """
        request = {
            "code": str(code),
            "path": isinstance(code, Path),
            "argv": [str(code) if isinstance(code, Path) else "-c", *map(str, arguments)],
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
            "sys.path": paths,
        }
        with contextlib.ExitStack() as stack:

            def passed(descriptor: int) -> int:
                stack.callback(os.close, descriptor)
                return descriptor

            streams, theirs = [], []
            for number, given in enumerate((stdin, stdout, stderr)):
                ours = None
                if given == subprocess.PIPE:
                    ends = os.pipe()
                    ours = os.fdopen(ends[0] if number else ends[1], "r" if number else "w", 1)
                    given = passed(ends[1] if number else ends[0])
                elif given == subprocess.STDOUT:
                    given = theirs[1]
                elif given == subprocess.DEVNULL:
                    given = passed(os.open(os.devnull, os.O_RDWR))
                elif given is not None and not isinstance(given, int):
                    given = given.fileno()
                streams.append(ours)
                theirs.append(number if given is None else given)
            status, said = os.pipe()
            descriptors = [passed(said), *theirs]
            socket.send_fds(self.socket, [json.dumps(request).encode()], descriptors)
        return Forked(status, streams)

    def call(self, function, *arguments, **options) -> Forked:
        """Start a child that calls a function of a module, as `multiprocessing.Process` does."""
        pickled = pickle.dumps((function, arguments)).hex()
        return self.start(CALL, pickled, paths=sys.path, **options)

    def run(self, code, *arguments, check=False, **options) -> subprocess.CompletedProcess:
        """Run a child to its end; keep what it writes."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            running = self.start(code, *arguments, stdout=out, stderr=err, **options)
            running.wait()
            said = [file.seek(0) or file.read() for file in (out, err)]
        done = subprocess.CompletedProcess([code, *arguments], running.returncode, *said)
        assert not check or done.returncode == 0, done
        return done

    def mixling(self, *words, **options) -> subprocess.CompletedProcess:
        """Run a command of Mixling."""
        return self.run(COMMAND, *words, **options)


def _serve(control: socket.socket) -> dict:
    """Fork a child for each request; return the request in the child, and end with the socket."""
    status: dict[int, tuple[int, int]] = {}  # the child of each descriptor, and who hears of it
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    selector.unregister(key.fileobj)
                    child, said = status.pop(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                    with contextlib.suppress(BrokenPipeError):
                        os.write(said, f"{code}\n".encode())
                    os.close(said)
                    os.close(key.fd)
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, MOST, 4)
                if not message:
                    for child, _ in status.values():
                        os.kill(child, signal.SIGKILL)
                    sys.exit()
                said, *streams = descriptors
                child = os.fork()
                if not child:
                    for number, descriptor in enumerate(streams):
                        os.dup2(descriptor, number)
                    for descriptor in (said, *streams, *status, *(x for _, x in status.values())):
                        os.close(descriptor)
                    control.close()
                    return json.loads(message)
                os.write(said, f"{child}\n".encode())
                for descriptor in streams:
                    os.close(descriptor)
                watched = os.pidfd_open(child)
                status[watched] = child, said
                selector.register(watched, selectors.EVENT_READ)


def _become(request: dict) -> None:
    """Be the process that was asked for."""
    import numpy as np

    os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = request["argv"]
    np.random.seed()  # as a new process has it; `random` does so itself
    sys.path[0] = str(Path(request["code"]).parent) if request["path"] else ""
    if request["sys.path"] is not None:
        sys.path[:] = request["sys.path"]
    if request["path"]:
        runpy.run_path(request["code"], run_name="__main__")
        return
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(request["code"], main.__dict__)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        for module in sys.argv[2:]:
            importlib.import_module(module)
        # LanceDB makes its thread anew in a child, with a warning
        warnings.filterwarnings("ignore", message="lancedb fork support")
        gc.collect()
        gc.freeze()  # or the first collection of each child copies all pages
        wanted = _serve(connection)
    _become(wanted)
    # as the interpreter does at its end, less the freeing of all that was imported, which takes as
    # long as ten forks
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
