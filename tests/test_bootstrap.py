"""Set-up and start, with real processes and real environments of tiny packages. Nothing here needs a network."""

from __future__ import annotations

import ast
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bcecore import bootstrap

posix = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
FRONT_DOOR = [bootstrap.ROOT / "bcecore" / name for name in ("__main__.py", "bootstrap.py")]

STUB_CLI = """
import json, sys
def main(argv):
    import tinypkg
    print(json.dumps({"argv": argv, "prefix": sys.prefix, "tinypkg": tinypkg.VERSION}))
    return 7
"""


# Pins


def test_pins_come_from_the_file_and_its_includes(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text('# users\nnumpy==2.4.6  # arrays\n\nPy_Arrow.x == 26.0.1 ; os_name != "none"\n')
    (tmp_path / "dev.txt").write_text(
        "-r base.txt\nruff[extra]==0.1\n"
        'never==1 ; sys_platform == "nowhere"\n'
        'always==2 ; python_version >= "3.8" and python_version < "99.0"\n'
    )
    assert bootstrap.read_pins(tmp_path / "dev.txt") == {
        "numpy": "2.4.6",
        "py-arrow-x": "26.0.1",
        "ruff": "0.1",
        "always": "2",
    }


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "numpy==2.*", "--index-url x", 'a==1; extra == "x"'])
def test_what_cannot_be_checked_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "r.txt").write_text(line)
    with pytest.raises(ValueError, match=r"r\.txt, line 1|environment marker"):
        bootstrap.read_pins(tmp_path / "r.txt")


@pytest.mark.parametrize(
    ("found", "wanted", "met"),
    [
        ("2.13.0+cpu", "2.13.0", True),
        ("2.13.0", "2.13.0+cpu", False),
        ("2.13.0+cpu", "2.13.0+cpu", True),
        ("1.0", "1.0.0", True),
        ("1.10", "1.1", False),
        ("10", "1", False),
        ("2.0.0rc1", "2.0rc1", True),
        ("2.0.0rc1", "2.0", False),
        ("3.1.0.261029", "3.1.0.261029", True),
        ("3.1.0.261029", "3.1", False),
    ],
)
def test_versions_are_compared_as_pip_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str, wanted: str, met: bool
) -> None:
    info = tmp_path / f"tiny_pkg-{found}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: Tiny_Pkg\nVersion: {found}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "r.txt").write_text(f"tiny.PKG=={wanted}\n")
    unmet = bootstrap.unmet_pins(tmp_path / "r.txt")
    assert unmet == ([] if met else [f"tiny-pkg=={wanted} ({found} found)"])


def test_a_missing_package_is_unmet(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("no-such-package-here==1\n")
    assert bootstrap.unmet_pins(tmp_path / "r.txt") == ["no-such-package-here==1 (nothing found)"]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_running_environment_meets_the_project_s_pins_in_silence(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.ensure_environment(bootstrap.ROOT / name, ["up"])
    assert capfd.readouterr() == ("", "")


# What a bare or an old interpreter sees


@pytest.mark.parametrize("path", FRONT_DOOR, ids=lambda path: path.name)
def test_the_front_door_is_in_an_old_syntax(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_the_front_door_imports_nothing_that_must_be_installed() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import bcecore.__main__; "
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(bootstrap.ROOT)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert set(output.split()) <= {"bcecore", "__main__"}


def test_a_python_that_is_too_old_is_told_so() -> None:
    code = (
        "import runpy, sys; sys.version_info = (3, 10, 4); sys.argv = ['bcecore', 'up']; "
        "runpy.run_module('bcecore', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=bootstrap.ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("BCE Lab needs Python 3.11 or newer and this is 3.10.4")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("old", ["python3.8", "python3.9", "python3.10"])
def test_a_real_old_python_is_told_so(old: str) -> None:
    python = shutil.which(old)
    if python is None or subprocess.run([python, "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"no {old} on this machine")
    done = subprocess.run([python, "-m", "bcecore", "up"], cwd=bootstrap.ROOT, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "needs Python 3.11" in done.stderr


# The environment


class Checkout:
    """A project of one package, `tinypkg`, with the real front door and a command line that reports what it got."""

    def __init__(self, root: Path, wheels: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.unfinished = self.venv / ".bce-unfinished"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON", "BCE_", "PYTEST_"))}
        self.env = kept | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}

    def write(self) -> None:
        package = self.root / "bcecore"
        package.mkdir(parents=True)
        for path in FRONT_DOOR:
            shutil.copy(path, package)
        (package / "__init__.py").touch()
        (package / "cli.py").write_text(STUB_CLI)
        self.pin("requirements.txt", "tinypkg==1.0")
        self.pin("requirements-dev.txt", "tinypkg==1.0", "tinydev==1.0")

    def pin(self, name: str, *pins: str) -> None:
        (self.root / name).write_text("\n".join(pins))

    def start(self, *args: str, code: str | None = None, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code] if code is not None else [sys.executable, "-m", "bcecore"]
        return subprocess.Popen(
            [*command, *args],
            cwd=self.root,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, code: str | None = None, **env: str) -> tuple[int, str, str]:
        process = self.start(*args, code=code, **env)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def copy(self, root: Path) -> Checkout:
        shutil.copytree(self.root, root, symlinks=True)
        return Checkout(root, Path(self.env["PIP_FIND_LINKS"]))


def build_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for name, version in [("tinypkg", "1.0"), ("tinypkg", "2.0"), ("tinydev", "1.0")]:
        build_wheel(folder, name, version)
    return folder


@pytest.fixture
def bare(tmp_path: Path, wheels: Path) -> Checkout:
    checkout = Checkout(tmp_path / "a checkout", wheels)
    checkout.write()
    return checkout


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> tuple[Checkout, tuple[int, str, str]]:
    checkout = Checkout(tmp_path_factory.mktemp("first") / "checkout", wheels)
    checkout.write()
    return checkout, checkout.run("train", "--name", "two words")


@pytest.fixture
def ready(first_run: tuple[Checkout, tuple[int, str, str]], tmp_path: Path) -> Checkout:
    return first_run[0].copy(tmp_path / "checkout")


@contextlib.contextmanager
def index_that_never_answers() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited a minute for: {what}"
        time.sleep(0.05)


def test_the_first_run_sets_up_and_goes_on_inside(first_run: tuple[Checkout, tuple[int, str, str]]) -> None:
    checkout, (code, out, err) = first_run
    assert code == 7, err
    assert json.loads(out) == {
        "argv": ["train", "--name", "two words"],
        "prefix": str(checkout.venv),
        "tinypkg": "1.0",
    }
    assert "Making" in err
    assert "Installing requirements.txt: 1 packages" in err
    assert "Set up in" in err
    assert not checkout.unfinished.exists()
    assert not (checkout.venv / "tmp").exists()


def test_the_second_run_goes_on_inside_at_once(ready: Checkout) -> None:
    code, out, err = ready.run("train")
    assert (code, err) == (7, "")
    assert json.loads(out)["prefix"] == str(ready.venv)


def test_changed_pins_update_the_environment(ready: Checkout) -> None:
    ready.pin("requirements.txt", "tinypkg==2.0")
    code, out, err = ready.run("train")
    assert (code, json.loads(out)["tinypkg"]) == (7, "2.0")
    assert "1 packages in" in err
    assert "Making" not in err


def test_the_word_test_asks_for_the_developer_s_pins(ready: Checkout) -> None:
    code, _, err = ready.run("test")
    assert code == 7
    assert "Installing requirements-dev.txt" in err
    assert ready.run("train")[2] == ""


@pytest.mark.parametrize("args", [(), ("--help",), ("-h",)])
def test_help_installs_nothing(bare: Checkout, args: tuple[str, ...]) -> None:
    code, out, err = bare.run(*args)
    assert (code, err) == (0, "")
    assert "python -m bcecore up" in out
    assert not bare.venv.exists()


def test_two_at_once_share_one_set_up(bare: Checkout) -> None:
    processes = [bare.start("train"), bare.start("train")]
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [7, 7]
    errors = sorted((err for _, err in results), key=lambda err: "Making" in err)
    assert "Another set-up" in errors[0]
    assert "Installing" not in errors[0]
    assert "Set up in" in errors[1]


def test_a_package_left_half_installed_is_repaired(ready: Checkout) -> None:
    (module,) = ready.venv.glob("[Ll]ib/**/tinypkg/__init__.py")
    module.unlink()  # the metadata still says that all is well
    ready.unfinished.touch()
    code, out, err = ready.run("train")
    assert (code, json.loads(out)["tinypkg"]) == (7, "1.0")
    assert "making it anew" in err
    assert not ready.unfinished.exists()


@posix
def test_a_killed_set_up_blocks_nobody(ready: Checkout) -> None:
    ready.pin("requirements.txt", "tinypkg==2.0")
    with index_that_never_answers() as index:
        killed = ready.start("train", PIP_NO_INDEX="", PIP_INDEX_URL=index)
        wait_for(ready.unfinished.exists, "the install")
        killed.kill()
        killed.communicate()
        second = ready.start("train")
        # pip outlives its parent for a while, still at work in .venv: the lock has to last as long as pip does.
        assert second.stderr is not None
        assert "Another set-up" in second.stderr.readline()
    out, err = second.communicate(timeout=120)
    assert (second.returncode, json.loads(out)["tinypkg"]) == (7, "2.0"), err
    assert "making it anew" in err


@posix
def test_ctrl_c_while_downloading_leaves_the_environment_as_it_was(ready: Checkout) -> None:
    with index_that_never_answers() as index:
        ready.pin("requirements.txt", "tinypkg==2.0")
        process = ready.start("train", PIP_NO_INDEX="", PIP_INDEX_URL=index)
        wait_for(ready.unfinished.exists, "the install")
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in err
    assert "Traceback" not in err
    ready.pin("requirements.txt", "tinypkg==1.0")
    assert ready.run("train")[2] == ""


def test_an_environment_whose_python_is_gone_is_made_anew(ready: Checkout) -> None:
    shutil.rmtree(ready.venv / ("Scripts" if sys.platform == "win32" else "bin"))
    code, _, err = ready.run("train")
    assert code == 7
    assert "making it anew" in err


def test_a_failed_install_says_what_failed_and_what_to_do(ready: Checkout) -> None:
    ready.pin("requirements.txt", "tinypkg==3.0")
    code, out, err = ready.run("train")
    assert (code, out) == (1, "")
    assert "pip install -r requirements.txt failed with exit code 1" in err
    assert "No matching distribution found for tinypkg==3.0" in err
    assert "network" in err
    assert "GB are free" in err
    assert "Traceback" not in err
    ready.pin("requirements.txt", "tinypkg==1.0")
    assert ready.run("train")[2] == "", "a failed download must not cost the environment that was there"


def test_without_ensurepip_the_system_package_is_named(bare: Checkout, tmp_path: Path) -> None:
    blocked = """
import runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "ensurepip":
            raise ModuleNotFoundError("No module named 'ensurepip'", name=name)
sys.meta_path.insert(0, Blocker())
runpy.run_module("bcecore", run_name="__main__", alter_sys=True)
"""
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.touch(mode=0o755)
    code, _, err = bare.run("up", code=blocked, PATH=str(apt.parent))
    assert code == 1
    assert len(err.splitlines()) == 1
    if sys.platform != "win32":
        assert f"python3.{sys.version_info[1]}-venv" in err
    code, _, err = bare.run("up", code=blocked, PATH=str(tmp_path))
    assert code == 1
    assert "venv and ensurepip are missing: install them" in err


def test_going_on_inside_without_end_is_stopped(ready: Checkout) -> None:
    # The metadata of an older package, found before that of .venv. Only in the last hop, so that .venv looks fine.
    shadow = ready.root / "shadow" / "tinypkg-0.5.dist-info"
    shadow.mkdir(parents=True)
    (shadow / "METADATA").write_text("Metadata-Version: 2.1\nName: tinypkg\nVersion: 0.5\n")
    (site,) = ready.venv.glob("[Ll]ib/**/site-packages")
    (site / "sitecustomize.py").write_text(
        "import os, sys\nif 'BCE_INSIDE_VENV' in os.environ: sys.path.insert(0, os.environ['SHADOW'])\n"
    )
    code, _, err = ready.run("train", SHADOW=str(shadow.parent))
    assert code == 1
    assert "does not find in it: tinypkg==1.0 (0.5 found)" in err
    assert "PYTHONPATH" in err


def test_something_in_the_way_is_named(bare: Checkout) -> None:
    bare.venv.write_text("not a folder")
    code, _, err = bare.run("train")
    assert code == 1
    assert "cannot be set up" in err
    assert "Traceback" not in err


# The tests and the dashboard


@pytest.mark.parametrize(("outcome", "code"), [("True", 0), ("False", 1)])
def test_run_tests_passes_arguments_on_and_its_result_back(bare: Checkout, outcome: str, code: int) -> None:
    (bare.root / "test_it.py").write_text(f"def test_one():\n    assert {outcome}\ndef test_two():\n    assert 0\n")
    start = "import sys; from bcecore import bootstrap; sys.exit(bootstrap.run_tests(['-k', 'one']))"
    returned, out, _ = bare.run(code=start)
    assert returned == code
    assert "1 deselected" in out


def test_a_free_port_is_free_and_a_taken_one_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert bootstrap.port_problem(port) == "another program uses it"
    assert bootstrap.port_problem(port) is None
    assert bootstrap.port_problem(0) == bootstrap.port_problem(65536) == "ports go from 1 to 65535"


def test_a_port_held_under_ipv6_only_is_taken() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=1).close()
    except OSError:
        pytest.skip("localhost has no IPv6 here")
    with server:
        assert bootstrap.port_problem(server.getsockname()[1]) == "another program uses it"


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert bootstrap.run_dashboard(port, None, False) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"Port {port} cannot be used, another program uses it")
    assert len(err.splitlines()) == 1


def dashboard(port: int | None = None, runs: str | None = None, browser: bool = False, first: int = 0) -> str:
    return (
        "import sys; from pathlib import Path; from bcecore import bootstrap; "
        f"bootstrap.FIRST_PORT = {first} or bootstrap.FIRST_PORT; runs = {runs!r}; "
        f"sys.exit(bootstrap.run_dashboard({port}, runs and Path(runs), {browser}))"
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_up(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except OSError:
        return False


@posix
@pytest.mark.parametrize("how", ["ctrl-C", "SIGTERM"])
def test_the_dashboard_starts_says_where_it_is_and_stops(bare: Checkout, how: str) -> None:
    (bare.root / "app.py").write_text("import streamlit as st\nst.write('hello')\n")
    (bare.root / ".streamlit").mkdir()
    config = '[server]\naddress = "127.0.0.1"\n[browser]\ngatherUsageStats = false\n'
    (bare.root / ".streamlit" / "config.toml").write_text(config)
    port = free_port()
    process = bare.start(code=dashboard(port))
    assert process.stdout is not None
    line = process.stdout.readline()
    while line and "BCE Lab" not in line:
        line = process.stdout.readline()
    assert line == f"BCE Lab is at http://localhost:{port}  (ctrl-C stops the dashboard; runs go on)\n"
    assert is_up(port)
    if how == "ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody in the foreground
    else:
        process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert not is_up(port)


FAKE_STREAMLIT = """
import http.server, json, os, pathlib, signal, sys, time
port = int(next(a for a in sys.argv if "server.port" in a).partition("=")[2])
pathlib.Path("started.json").write_text(json.dumps({"argv": sys.argv[1:], "runs": os.environ.get("BCE_RUNS_DIR")}))
BODY
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/_stcore/health" else 404); self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""


def fake_streamlit(checkout: Checkout, body: str = "") -> Path:
    """Put a server in streamlit's place; return the file in which it reports its start."""
    (checkout.root / "streamlit.py").write_text(FAKE_STREAMLIT.replace("BODY", body))
    return checkout.root / "started.json"


@posix
def test_the_next_free_port_the_runs_directory_and_the_browser(bare: Checkout, tmp_path: Path) -> None:
    started = fake_streamlit(bare, "time.sleep(0.5)")
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}.new" && mv "{opened}.new" "{opened}"\n')
    browser.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        start = dashboard(None, "my runs", True, first=taken).replace(
            "bootstrap.FIRST", "bootstrap.LAST_PORT = 65535; bootstrap.FIRST", 1
        )
        process = bare.start(code=start, BROWSER=f"{browser} %s")
        wait_for(opened.exists, "the browser")
        process.terminate()
        out, _ = process.communicate(timeout=60)
    report = json.loads(started.read_text())
    port = int(next(a for a in report["argv"] if a.startswith("--server.port")).partition("=")[2])
    assert port > taken
    assert report["argv"][:2] == ["run", "app.py"]
    assert "--server.headless=true" in report["argv"]
    assert report["runs"] == str(bare.root / "my runs")
    assert opened.read_text().strip() == f"http://localhost:{port}"
    assert f"http://localhost:{port} " in out
    assert process.returncode == 0


# At its first start the server finds that somebody else has taken its port a moment ago.
TAKEN_MEANWHILE = """
import subprocess
holder = "import socket, sys; s = socket.create_server(('127.0.0.1', PORT)); print(flush=True); sys.stdin.read()"
if not os.path.exists("holder.pid"):
    other = subprocess.Popen([sys.executable, "-c", holder.replace("PORT", str(port))], stdin=open(FIFO),
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    other.stdout.readline()
    pathlib.Path("holder.pid").write_text(str(port))
    sys.exit("Port is not available")
"""


@posix
@pytest.mark.parametrize("asked_for", [False, True])
def test_a_port_taken_while_the_server_starts(bare: Checkout, tmp_path: Path, asked_for: bool) -> None:
    fifo = tmp_path / "hold"
    os.mkfifo(fifo)
    with os.fdopen(os.open(fifo, os.O_RDWR), "wb"):  # the holder goes when this end is closed
        started = fake_streamlit(bare, TAKEN_MEANWHILE.replace("FIFO", repr(str(fifo))))
        first = free_port()
        start = dashboard(first if asked_for else None, first=first).replace(
            "bootstrap.FIRST", "bootstrap.LAST_PORT = 65535; bootstrap.FIRST", 1
        )
        process = bare.start(code=start)
        assert process.stdout is not None
        line = process.stdout.readline()  # empty at its end
        process.terminate()
        _, err = process.communicate(timeout=60)
    taken = int((bare.root / "holder.pid").read_text())
    assert f"Port {taken} cannot be used any more, another program uses it." in err
    if asked_for:
        assert (process.returncode, line) == (2, "")
    else:
        served = int(next(a for a in json.loads(started.read_text())["argv"] if "server.port" in a).partition("=")[2])
        assert served > taken
        assert f"http://localhost:{served} " in line


@posix
def test_ctrl_c_before_the_dashboard_answers_ends_it_quietly(bare: Checkout) -> None:
    started = fake_streamlit(bare, "time.sleep(60)")
    process = bare.start(code=dashboard(free_port()))
    wait_for(started.exists, "the start")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


@posix
def test_a_second_ctrl_c_ends_a_dashboard_that_does_not_listen(bare: Checkout) -> None:
    started = fake_streamlit(bare, "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    process = bare.start(code=dashboard(free_port()))
    wait_for(started.exists, "the start")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.7)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_dashboard_that_dies_while_it_starts_says_why(bare: Checkout) -> None:
    fake_streamlit(bare, "print('the disk is on fire', file=sys.stderr); sys.exit(5)")
    code, out, err = bare.run(code=dashboard(free_port()))
    assert (code, out) == (5, "")
    assert err.splitlines() == [
        "the disk is on fire",
        "The dashboard ended while it started (exit code 5): see its last lines above.",
    ]
