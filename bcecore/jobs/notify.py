"""Telling somebody outside that a run or an evaluation has ended, in bounded time. What fails here never hurts it."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable

from bcecore.jobs.queue import Job
from bcecore.store.preferences import Preferences

_SECONDS = 15.0


def notify(preferences: Preferences, record: Job, say: Callable[[str], None]) -> None:
    """Run the command and post to the webhook that are set on this machine. What fails is said, not raised."""
    if not preferences.notifies:
        return
    if preferences.notify_command:
        _run_command(preferences.notify_command, record, say)
    if preferences.notify_webhook:
        _post(preferences.notify_webhook, record, say)


def _run_command(command: str, record: Job, say: Callable[[str], None]) -> None:
    environment = os.environ | {
        "BCE_JOB": record.noun,
        "BCE_RUN_ID": record.run_id,
        "BCE_RUN_NAME": record.name,
        "BCE_RUN_STATUS": record.status,
    }
    # The shell is what the setting offers; run names reach it as variables only, never as part of the command.
    process = subprocess.Popen(
        command,
        shell=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = process.wait(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        _end(process)
        say(f"The notification command did not end within {_SECONDS:.0f} s and was ended.")
        return
    if status != 0:
        say(f"The notification command ended with status {status}.")


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, 9)  # its children too
    else:
        process.kill()
    process.wait()


def _post(address: str, record: Job, say: Callable[[str], None]) -> None:
    done, total = record.counts or (None, None)
    content = {
        "job": record.noun,
        "run": record.run_id,
        "evaluation": record.id if record.key != record.run_id else None,
        "name": record.name,
        "status": record.status,
        # Steps of a run, texts of an evaluation.
        "done": done,
        "total": total,
        "message": record.failure.message if record.failure else None,
        # The one key that the usual chat services show.
        "text": f"{record.name}: {record.status}",
    }
    request = urllib.request.Request(
        address, data=json.dumps(content).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS):
            pass
    except (OSError, ValueError) as error:
        say(f"The webhook could not be reached: {error}")
