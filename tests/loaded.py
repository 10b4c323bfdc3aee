"""Programs for processes of their own, without the seconds that loading torch and transformers takes each time.

The first call starts a Python that loads what a training process or an evaluation needs and does nothing else; it then
forks one process a program. `bcecore.training.warm` says when that is safe. Where processes cannot be forked, every
program gets an interpreter of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from bcecore.jobs.local import REPOSITORY, training_environment

_SECONDS = 200

_SERVER = """
import json, os, signal, sys, traceback
import torch
threads = torch.get_num_threads()
torch.set_num_threads(1)
from bcecore.evaluation import worker as _
from bcecore.training import worker as _

def limit(number, frame):
    raise TimeoutError

def carry_out(request):
    status = 1
    try:
        os.setsid()
        for target, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
            opened = os.open(name, os.O_RDWR if target else os.O_RDONLY)
            os.dup2(opened, target)
            os.close(opened)
        sys.stdin = open(0, encoding="utf-8", closefd=False)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = ["-c", *request["arguments"]]
        torch.set_num_threads(threads)
        exec(compile(request["program"], "<program>", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as exit:
        status = exit.code if isinstance(exit.code, int) else 0 if exit.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

signal.signal(signal.SIGALRM, limit)
for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
        carry_out(request)
    signal.alarm(request["seconds"])
    try:
        status = os.waitpid(pid, 0)[1]
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        status = None
    signal.alarm(0)
    answer = None if status is None else os.waitstatus_to_exitcode(status)
    sys.__stdout__.write(json.dumps(answer) + "\\n")
    sys.__stdout__.flush()
"""


@cache
def _server() -> subprocess.Popen[str]:
    # It ends with its input, so with this process.
    return subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env=training_environment(),
        text=True,
    )


def run_program(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program as a training process is run, and wait for it. Raises TimeoutExpired after minutes."""
    if sys.platform != "linux":
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=training_environment(),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [Path(scratch) / name for name in ("stdout", "stderr")]
        for output in outputs:
            output.touch()
        request = {
            "program": program,
            "arguments": arguments,
            "environment": training_environment(),
            "stdout": os.fspath(outputs[0]),
            "stderr": os.fspath(outputs[1]),
            "seconds": _SECONDS,
        }
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = json.loads(server.stdout.readline())
        said, complained = (output.read_text(encoding="utf-8", errors="replace") for output in outputs)
    if status is None:
        raise subprocess.TimeoutExpired(program, _SECONDS, said, complained)
    return subprocess.CompletedProcess(program, status, said, complained)
