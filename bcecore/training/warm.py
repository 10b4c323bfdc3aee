"""The warm parent: `python -m bcecore.training.warm WORKER ...` loads what jobs need, then forks off their processes.

A worker is a module whose `main` takes the arguments of `python -m WORKER` and returns the exit status.

Linux only. One JSON object a line: on standard output `{"ready": true}` when everything is loaded; for each request
`{"worker": "bcecore.training.worker", "arguments": ["/path/of/run"], "log": "/path/train.log"}` on standard input the
answer `{"pid": 123}` or `{"error": "..."}`. Ends with its input; the processes of the jobs go on.

Forking is safe only while nothing was computed: a library that has begun to use several threads, or the graphics card,
hangs or fails in the child. So this process imports and does nothing else.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import torch

# Before anything else is imported, which might compute a little on several threads.
_THREADS = torch.get_num_threads()
torch.set_num_threads(1)

Work = Callable[[list[str]], int]

# What a run would import only when it gets there; a test compares.
_LATER = ("numpy.ctypeslib", "torch.profiler._cupti_monitor", "torch.utils.serialization.config")


def main(workers: Sequence[str]) -> int:
    """Serve requests until standard input ends. Returns 1 where processes cannot be forked safely."""
    if sys.platform != "linux":
        sys.stderr.write("A warm start is possible on Linux only; the processes of jobs are started one by one here.\n")
        return 1
    works: dict[str, Work] = {name: importlib.import_module(name).main for name in workers}
    for name in _LATER:
        importlib.import_module(name)
    # Nobody waits for the children, which then leave no zombies.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What was loaded is never garbage: the children need not look at it again, nor copy the pages it is on.
    gc.collect()
    gc.freeze()
    with suppress(BrokenPipeError):  # the supervisor is gone, and with it the need for this process
        _answer({"ready": True})
        for line in sys.stdin:
            _answer(_started(line, works))
    return 0


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _started(line: str, works: Mapping[str, Work]) -> dict[str, Any]:
    """Start what one line asks for; the answer to it."""
    try:
        request = json.loads(line)
        work, arguments = works[request["worker"]], [str(each) for each in request["arguments"]]
        with Path(request["log"]).open("ab") as log:
            pid = _forked(log.fileno(), arguments, work)
    except (ValueError, KeyError, TypeError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"pid": pid}


def _forked(log: int, arguments: list[str], work: Work) -> int:
    """The pid of a new process, once it stands on its own feet: what befalls this one is nothing to it."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _become_worker(log, writer, arguments, work)
    finally:
        os.close(writer)
        with os.fdopen(reader, "rb") as standing:
            standing.read()
    return pid


def _become_worker(log: int, parent: int, arguments: list[str], work: Work) -> NoReturn:
    """Be as if started by a command: a session, input and output, signals and threads of its own. Never returns.

    `parent` is closed when that is done.
    """
    status = 1
    try:
        os.setsid()
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
        for target, source in ((0, sys.stdin.fileno()), (1, log), (2, log)):
            os.dup2(source, target)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(parent)
        torch.set_num_threads(_THREADS)
        status = work(arguments)
    except SystemExit as exit:
        status = exit.code if isinstance(exit.code, int) else 1
    except BaseException:  # noqa: BLE001 - what Python itself does at the end of a process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
