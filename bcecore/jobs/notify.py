"""Telling somebody outside that a run has ended, in bounded time; what goes wrong here never reaches a run."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable

from bcecore.store.preferences import Preferences
from bcecore.store.record import RunRecord

_SECONDS = 15.0


def notify(preferences: Preferences, record: RunRecord, say: Callable[[str], None]) -> None:
    """Run the command and post to the webhook that are set on this machine. What fails is said, not raised."""
    if not preferences.notifies:
        return
    if preferences.notify_command:
        _run_command(preferences.notify_command, record, say)
    if preferences.notify_webhook:
        _post(preferences.notify_webhook, record, say)


def _run_command(command: str, record: RunRecord, say: Callable[[str], None]) -> None:
    environment = os.environ | {
        "BCE_RUN_ID": record.id,
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


def _post(address: str, record: RunRecord, say: Callable[[str], None]) -> None:
    progress = record.progress
    content = {
        "run": record.id,
        "name": record.name,
        "status": record.status,
        "step": progress.step if progress else None,
        "total_steps": progress.total_steps if progress else None,
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
