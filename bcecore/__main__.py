"""The front door of the command line: `python -m bcecore up`, `python -m bcecore test` and every other command.

Owns one decision, which requirement file a command needs. `bootstrap` sees to the environment, `cli` runs the command.
Until the environment is there, nothing outside the standard library is imported.
"""

from __future__ import annotations

import sys

from bcecore import bootstrap

FIRST_HELP = """BCE Lab: fine-tune language models with the Behavioral Consciousness Engine regulariser.

  python -m bcecore up      set up on the first call, then open the dashboard
  python -m bcecore test    set up on the first call, then run the tests

Once it is set up, python -m bcecore --help lists every command."""


def main() -> int:
    """Bring the environment up for the command in `sys.argv`, then run the command in it."""
    argv = sys.argv[1:]
    bootstrap.require_python()
    asks_for_help = not argv or argv[0] in ("-h", "--help")
    requirements = bootstrap.ROOT / ("requirements-dev.txt" if argv[:1] == ["test"] else "requirements.txt")
    if not bootstrap.ensure_environment(requirements, argv, install=not asks_for_help):
        print(FIRST_HELP)
        return 0

    from bcecore.cli import main as run_command

    return run_command(argv)


if __name__ == "__main__":
    sys.exit(main())
