"""Telling somebody that a run has ended: what they are told, and that nothing here can hurt or hang."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bcecore.jobs import notify as module
from bcecore.jobs.notify import notify
from bcecore.store.evaluations import EvaluationStore, SplitTexts
from bcecore.store.preferences import Preferences, this_machine
from bcecore.store.record import Failure
from bcecore.store.runs import RunStore
from tests.examples import example_run
from tests.ui.evaluated import evaluated

posix = pytest.mark.skipif(os.name == "nt", reason="the commands are those of a POSIX shell")


def told(store: RunStore, *, here: bool = True, **settings: str) -> list[str]:
    record = store.record(example_run(store, "failed", name="$(touch hacked)", failure=Failure(message="Why.")))
    said: list[str] = []
    notify(Preferences(machine=this_machine() if here else "elsewhere", **settings), record, said.append)
    return said


@pytest.fixture
def posts() -> Iterator[tuple[str, list[dict[str, object]]]]:
    received: list[dict[str, object]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204 if self.path == "/ok" else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


@posix
def test_the_command_gets_the_run_as_variables(store: RunStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert told(store, notify_command=f'echo "$BCE_RUN_NAME|$BCE_RUN_STATUS" > "{out}"') == []
    assert out.read_text() == "$(touch hacked)|failed\n"
    assert not Path("hacked").exists()


@posix
def test_a_command_that_fails_or_hangs_is_said(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(store, notify_command="exit 3") == ["The notification command ended with status 3."]
    monkeypatch.setattr(module, "_SECONDS", 0.2)
    assert "did not end within" in told(store, notify_command="sleep 100")[0]


def test_the_webhook_gets_a_json_object(store: RunStore, posts: tuple[str, list[dict[str, object]]]) -> None:
    address, received = posts
    assert told(store, notify_webhook=f"{address}/ok") == []
    (content,) = received
    assert (content["job"], content["evaluation"], content["status"]) == ("run", None, "failed")
    assert (content["done"], content["total"]) == (120, 300)
    assert content["message"] == "Why."
    assert content["text"] == "$(touch hacked): failed"


@posix
def test_an_evaluation_is_told_of_too(
    store: RunStore, tmp_path: Path, posts: tuple[str, list[dict[str, object]]]
) -> None:
    run_id = example_run(store, name="my run")
    key = evaluated(store, run_id, SplitTexts("val", "file", "val.txt", ["one two"], 48), {10: [1.0]}, name="on val")
    address, received = posts
    out = tmp_path / "out"
    settings = Preferences(
        machine=this_machine(),
        notify_webhook=f"{address}/ok",
        notify_command=f'echo "$BCE_JOB|$BCE_RUN_ID|$BCE_RUN_NAME|$BCE_RUN_STATUS" > "{out}"',
    )
    said: list[str] = []
    notify(settings, EvaluationStore(store).record(key), said.append)
    assert said == []
    assert out.read_text() == f"evaluation|{run_id}|on val|finished\n"
    (content,) = received
    assert (content["job"], content["run"], f"{content['run']}/{content['evaluation']}") == ("evaluation", run_id, key)


def test_a_webhook_that_fails_is_said(store: RunStore, posts: tuple[str, list[dict[str, object]]]) -> None:
    assert "could not be reached: HTTP Error 500" in told(store, notify_webhook=f"{posts[0]}/wrong")[0]
    assert "could not be reached" in told(store, notify_webhook="http://127.0.0.1:1/nobody")[0]


def test_settings_of_another_machine_are_not_followed(store: RunStore, tmp_path: Path) -> None:
    assert told(store, here=False, notify_command=f'touch "{tmp_path}/hacked"') == []
    assert not (tmp_path / "hacked").exists()
