"""Set-up and start: from a bare Python to the dashboard or the tests.

Owns the environment beside app.py (`.venv`: made, updated, repaired, entered) and the two programs that a person
starts in it, the dashboard and the tests. Standard library only, because it runs before anything is installed, and
in a syntax that Python 3.8 still reads, because a Python that is too old is told so here.

`python -m bcecore.bootstrap REQUIREMENTS` prints the pins that the interpreter running it does not meet.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib import metadata, util
from pathlib import Path
from types import FrameType
from typing import Any, Iterator, NoReturn, Sequence

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
FIRST_PORT, LAST_PORT = 8501, 8600

_VENV = ROOT / ".venv"
_VENV_PYTHON = _VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
# Both lie inside .venv, where git ignores them, and outlive a rebuild of it.
_LOCK = _VENV / ".bce-lock"
_UNFINISHED = _VENV / ".bce-unfinished"
_ARRIVED = "BCE_INSIDE_VENV"  # set for the one hop into .venv, so that a second hop is seen to be an endless one


# Pins


def read_pins(requirements: Path) -> dict[str, str]:
    """The `name==version` lines of a requirement file and of the files it includes, as {normalised name: version}.

    Lines whose environment marker does not hold here are left out. Raises ValueError on anything but an exact pin:
    what cannot be checked would silently be missing.
    """
    pins: dict[str, str] = {}
    for number, raw in enumerate(requirements.read_text(encoding="utf-8").splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if not line:
            continue
        include = re.fullmatch(r"(?:-r|--requirement)[ =]*(.+)", line)
        if include:
            pins.update(read_pins(requirements.parent / include[1]))
            continue
        pin = re.fullmatch(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*==\s*([^\s;*=]+)\s*(?:;\s*(.+))?", line)
        if pin is None:
            raise ValueError(f"{requirements.name}, line {number}: expected name==version, found {line!r}")
        name, version, marker = pin.groups()
        if marker is None or _marker_holds(marker):
            pins[re.sub(r"[-_.]+", "-", name).lower()] = version
    return pins


def _marker_holds(marker: str) -> bool:
    """Whether `name op "value"`, or several of them joined by `and`, holds in this interpreter."""
    known = {"sys_platform": sys.platform, "os_name": os.name}
    for part in re.split(r"\s+and\s+", marker.strip()):
        term = re.fullmatch(r"""(\w+)\s*(==|!=|>=|<)\s*["']([^"']+)["']""", part)
        if term and term[1] in known and term[2] in ("==", "!="):
            holds = (known[term[1]] == term[3]) == (term[2] == "==")
        elif term and term[1] == "python_version" and term[2] in (">=", "<"):
            wanted = tuple(int(number) for number in term[3].split("."))
            holds = (sys.version_info[:2] >= wanted) == (term[2] == ">=")
        else:
            raise ValueError(f"environment marker {part!r} is not one of those that bcecore.bootstrap reads")
        if not holds:
            return False
    return True


def unmet_pins(requirements: Path) -> list[str]:
    """The pins of a requirement file that the running interpreter does not meet, each with what was found instead."""
    unmet = []
    for name, wanted in read_pins(requirements).items():
        try:
            # None where an interrupted install left a directory without metadata.
            found: str | None = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = None
        if found is None or not _meets(found, wanted):
            unmet.append(f"{name}=={wanted} ({found or 'nothing'} found)")
    return unmet


def _meets(found: str, wanted: str) -> bool:
    """PEP 440 `==`: a local part counts only if the pin has one, and trailing zeros of the release never do."""
    if "+" not in wanted:
        found = found.partition("+")[0]
    return _canonical(found) == _canonical(wanted)


def _canonical(version: str) -> str:
    return re.sub(r"^v?(\d+(?:\.\d+)*?)(?:\.0+)*(?![.\d])", r"\1", version.strip().lower())


# The environment


def require_python() -> None:
    """End with one sentence if the running Python is too old."""
    if sys.version_info < OLDEST_PYTHON:
        wanted, found = (".".join(map(str, version)) for version in (OLDEST_PYTHON, sys.version_info[:3]))
        raise SystemExit(
            f"BCE Lab needs Python {wanted} or newer and this is {found} ({sys.executable}): "
            f"get a newer one from https://www.python.org/downloads/ and run the same command with it."
        )


def ensure_environment(requirements: Path, argv: Sequence[str], *, install: bool = True) -> bool:
    """Return True if the running interpreter meets the pins; else go on in a `.venv` that does, and do not return.

    `.venv` is made, updated or repaired as needed, and `python -m bcecore *argv` runs in it in place of this process.
    Without `install` nothing is changed: False says that no ready environment was found.
    """
    unmet = unmet_pins(requirements)
    arrived = os.environ.pop(_ARRIVED, None)
    if not unmet:
        return True
    if arrived:
        raise SystemExit(
            f"{_VENV} was set up, yet Python does not find in it: {', '.join(unmet)}. If PYTHONPATH is set, unset it; "
            f"else delete {_VENV} and run the same command again."
        )
    try:
        if _unmet_inside(requirements) != []:
            if not install:
                return False
            _set_up(requirements)
        os.environ[_ARRIVED] = "1"
        _go_on([str(_VENV_PYTHON), "-m", "bcecore", *argv])
    except KeyboardInterrupt:
        _say("Stopped before the set-up was complete: run the same command again to finish it.")
        raise SystemExit(130) from None
    except OSError as error:
        raise SystemExit(
            f"{_VENV} cannot be set up: {error}. Close the programs that use it (a dashboard, an editor), "
            f"see that you may write there, and run the same command again."
        ) from None


def _unmet_inside(requirements: Path) -> list[str] | None:
    """The pins that `.venv` does not meet; None if there is no `.venv` that works."""
    if _UNFINISHED.exists():
        return None  # its packages may be half there with their metadata whole
    question = [str(_VENV_PYTHON), "-m", "bcecore.bootstrap", str(requirements)]
    try:
        answer = subprocess.run(question, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.decode().splitlines()


def _set_up(requirements: Path) -> None:
    """Make `.venv` meet the pins. One process at a time: a second one waits and finds the work done."""
    started = time.monotonic()
    _VENV.mkdir(exist_ok=True)
    with _locked() as lock:
        unmet = _unmet_inside(requirements)
        if unmet == []:
            return
        if unmet is None:
            _make_venv(lock)
        else:
            _say(f"{len(unmet)} packages in {_VENV} are missing or of another version: updating it.")
        _install(requirements, lock)
    _say(f"Set up in {time.monotonic() - started:.0f} s.")


def _make_venv(lock: int) -> None:
    # Debian has `venv` without `ensurepip` unless a package of its own is installed.
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise SystemExit(
            f"This Python ({sys.executable}) cannot make environments, its modules venv and ensurepip are missing: "
            + (f"run `sudo apt-get install {package}`" if shutil.which("apt-get") else "install them from its source")
            + " and then the same command again."
        ) from None

    leftovers = [path for path in _VENV.iterdir() if path not in (_LOCK, _UNFINISHED)]
    if leftovers:
        _say(f"{_VENV} does not work (a set-up was cut off, or the Python that made it is gone): making it anew.")
    _say(f"Making {_VENV} with Python {sys.version.split()[0]}: the first time takes minutes, later starts a second.")
    _UNFINISHED.touch()
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    # Inside the very .venv that is being replaced, only the Python behind it can make a new one.
    python = getattr(sys, "_base_executable", sys.executable)
    output: list[str] = []
    code = _watch([python, "-m", "venv", str(_VENV)], lock, output)
    if code != 0:
        raise SystemExit(_failure(f"{python} -m venv {_VENV}", code, output))
    _UNFINISHED.unlink()


def _install(requirements: Path, lock: int) -> None:
    count = len(read_pins(requirements))
    _say(f"Installing {requirements.name}: {count} packages and what they need.")
    # Until pip says that it installs, .venv is as it was, and a cut-off there leaves nothing to repair.
    _UNFINISHED.touch()
    output: list[str] = []
    code = None
    command = [str(_VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
    try:
        code = _watch(command, lock, output)
    finally:
        if code == 0 or not _installing(output):
            _UNFINISHED.unlink()
    if code != 0:
        raise SystemExit(_failure(f"pip install -r {requirements.name}", code, output))


def _failure(what: str, code: int, output: list[str]) -> str:
    last_lines = "\n".join(f"    {line}" for line in output[-15:])
    free = shutil.disk_usage(_VENV).free / 1e9
    return (
        f"{what} failed with exit code {code}. Its last lines:\n{last_lines}\n"
        f"The usual causes are a network that does not reach the package index (behind a proxy, set HTTPS_PROXY) and a "
        f"full disk\n({free:.1f} GB are free at {_VENV.parent}; about 3 GB are needed, more with CUDA). "
        f"Put that right and run the same command again."
    )


def _watch(command: list[str], lock: int, output: list[str]) -> int:
    """Run a command to its end, adding its output to `output` and showing the newest line and the seconds it took."""
    # /tmp is often a small disk in memory, too small for torch; and what is in here can be counted.
    downloads = _VENV / "tmp"
    downloads.mkdir(exist_ok=True)
    pip_settings = {"PIP_NO_INPUT": "1", "PIP_USER": "0", "PIP_PROGRESS_BAR": "off"}
    env = {**os.environ, **pip_settings, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    env.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(downloads)))
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=env,
        # If this process is killed, its child works on for a while: the lock has to last as long.
        pass_fds=() if sys.platform == "win32" else (lock,),
    )

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            output.append(line.strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    in_place = sys.stderr.isatty()
    started = time.monotonic()
    try:
        while True:
            try:
                code = child.wait(timeout=0.5 if in_place else 5)
                break
            except subprocess.TimeoutExpired:
                _say(f"  {time.monotonic() - started:3.0f} s  {_stage(output, downloads)}", in_place=in_place)
    except KeyboardInterrupt:
        # It went to the child too, which may be putting back what it was replacing: give it the time.
        try:
            child.wait(timeout=15)
        except subprocess.TimeoutExpired:
            child.kill()
        raise
    finally:
        reader.join(timeout=5)
        if in_place:
            _say("", in_place=True)
        shutil.rmtree(downloads, ignore_errors=True)
    return code


def _stage(output: list[str], downloads: Path) -> str:
    """What pip is at, in one line."""
    installing = _installing(output)
    if installing:
        return f"installing {installing.count(',') + 1} packages"
    megabytes = 0.0
    for path in downloads.rglob("*"):
        with contextlib.suppress(OSError):  # gone since it was listed
            megabytes += path.stat().st_size / 1e6
    newest = output[-1].partition(" (from ")[0][:80] if output else "working"
    return f"{megabytes:.0f} MB so far, {newest}" if megabytes >= 1 else newest


def _installing(output: list[str]) -> str | None:
    """The line with which pip begins to change the environment, once it is there."""
    return next((line for line in output if line.startswith("Installing collected packages")), None)


def _say(text: str, *, in_place: bool = False) -> None:
    """One line of progress, on stderr: stdout belongs to the command that comes after."""
    if in_place:
        width = shutil.get_terminal_size().columns - 1
        text = "\r" + text[:width].ljust(width) + "\r"
    print(text, end="" if in_place else "\n", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _locked() -> Iterator[int]:
    """Hold the lock on `.venv`. The operating system drops it with its holder, so a killed set-up blocks nobody."""
    with _LOCK.open("a+") as file:
        started = time.monotonic()
        next_word = 0.0
        while not _take(file.fileno()):
            waited = time.monotonic() - started
            if waited >= next_word:
                _say(f"Another set-up of {_VENV} is running: waiting for it ({waited:.0f} s).")
                next_word += 10
            time.sleep(0.2)
        yield file.fileno()


if sys.platform == "win32":
    import msvcrt

    def _take(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _go_on(command: list[str]) -> NoReturn:
        # Windows has no exec that keeps the console: wait instead.
        raise SystemExit(_run(command))

else:
    import fcntl

    def _take(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _go_on(command: list[str]) -> NoReturn:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(command[0], command)


def _run(command: list[str], cwd: Path | None = None) -> int:
    """Run a command to its end. Ctrl-C reaches it by itself, through the terminal: what it means is its business."""
    child = subprocess.Popen(command, cwd=cwd)
    while True:
        try:
            return _exit_code(child.wait())
        except KeyboardInterrupt:
            continue


def _exit_code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode  # as a shell counts death by a signal


# What a person starts


def run_tests(args: Sequence[str]) -> int:
    """Run pytest in the repository root with these arguments and return its exit code."""
    return _run([sys.executable, "-m", "pytest", *args], cwd=ROOT)


def run_dashboard(port: int | None, runs_dir: Path | None, open_browser: bool) -> int:
    """Serve the dashboard until it is stopped; return its exit code, 0 after ctrl-C.

    Without `port` it takes the first free one from 8501; a port that was asked for and cannot be had is an error (2).
    """
    if port is not None:
        problem = port_problem(port)
        if problem is not None:
            _say(f"Port {port} cannot be used, {problem}: name another with --port, or leave it out to get a free one.")
            return 2
        code = _serve(port, runs_dir, open_browser)
        return 2 if code is None else code
    for free in (p for p in range(FIRST_PORT, LAST_PORT + 1) if port_problem(p) is None):
        code = _serve(free, runs_dir, open_browser)
        if code is not None:
            return code
    _say(f"No port from {FIRST_PORT} to {LAST_PORT} is free: name another with --port.")
    return 2


def _serve(port: int, runs_dir: Path | None, open_browser: bool) -> int | None:
    """Serve on this port until stopped; return the exit code, or None if somebody else took the port meanwhile."""
    env = dict(os.environ)
    if runs_dir is not None:
        env["BCE_RUNS_DIR"] = str(runs_dir.resolve())
    options = ["--server.headless=true", f"--server.port={port}", "--logger.hideWelcomeMessage=true"]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]

    # The child starts with ctrl-C ignored, or one during its imports would end in a traceback. Once it serves, it
    # handles the signal itself; until then the SIGTERM passed on from here ends it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, cwd=ROOT, env=env)
    asked_to_stop = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked_to_stop
        if asked_to_stop:
            child.kill()
        elif sys.platform != "win32":  # there terminate() is kill(), and the console has told the child already
            child.terminate()
        asked_to_stop = True

    restore = {signal.SIGINT: before}
    signal.signal(signal.SIGINT, stop)
    restore[signal.SIGTERM] = signal.signal(signal.SIGTERM, stop)
    if sys.platform != "win32":
        restore[signal.SIGHUP] = signal.signal(signal.SIGHUP, stop)
    try:
        answered = _announce(child, port, open_browser)
        # In short waits: Windows runs no signal handler during a long one.
        while child.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=0.5)
    finally:
        for number, handler in restore.items():
            signal.signal(number, handler)
    if asked_to_stop:
        return 0
    if not answered:
        taken = port_problem(port)
        if taken is not None:
            _say(f"Port {port} cannot be used any more, {taken}.")
            return None
        code = _exit_code(child.returncode)
        _say(f"The dashboard ended while it started (exit code {code}): see its last lines above.")
    return _exit_code(child.returncode)


def _announce(child: subprocess.Popen[Any], port: int, open_browser: bool) -> bool:
    """Wait until the server answers, then say where it is and open the browser; False if it ends before that."""
    url = f"http://localhost:{port}"
    started = time.monotonic()
    next_word = 10.0
    while child.poll() is None:
        if _answers(port) and child.poll() is None:
            print(f"BCE Lab is at {url}  (ctrl-C stops the dashboard; runs go on)", flush=True)
            if open_browser:
                _open_browser(url)
            return True
        if time.monotonic() - started >= next_word:
            _say(f"The dashboard is still starting ({next_word:.0f} s).")
            next_word += 10
        time.sleep(0.1)
    return False


def _answers(port: int) -> bool:
    import http.client  # here, because every other command would pay for it too

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _open_browser(url: str) -> None:
    import webbrowser

    # Without a display it would find a browser for the terminal, and take the terminal over.
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & set(os.environ):
        return
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def port_problem(port: int) -> str | None:
    """Why a server cannot be started on this port of this machine, or None if it can."""
    if not 1 <= port <= 65535:
        return "ports go from 1 to 65535"
    # Somebody who listens on every address, or on IPv6 alone, leaves 127.0.0.1 free on some systems, and is yet the
    # one whom a browser reaches under the name localhost.
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=0.3):
        return "another program uses it"
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        return f"the system says: {error.strerror}"
    return None


if __name__ == "__main__":
    # How one interpreter asks another. One that needs an install and has no pip is as good as broken.
    require_python()
    missing = unmet_pins(Path(sys.argv[1]))
    if missing and util.find_spec("pip") is None:
        sys.exit(1)
    for pin in missing:
        print(pin)
