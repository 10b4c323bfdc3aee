"""Runs as they are compared: their records, settings and logs, opened together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bcecore.errors import RunError
from bcecore.report.comparability import Side, side_names
from bcecore.store.history import History
from bcecore.store.imported import Imported
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui.live import configs_of, open_history
from bcecore.ui.words import moment


@contextmanager
def open_sides(store: RunStore, chosen: Sequence[tuple[RunRecord, int | None]]) -> Iterator[list[Side]]:
    """A side for each run, as a whole or at a step; nobody else reads or grows their logs meanwhile.

    Raises RunError when one was deleted a moment ago.
    """
    records = {record.id: record for record, _ in chosen}
    configs = configs_of(store, list(records.values()))
    with ExitStack() as stack:
        # Always in the same order: two pages that wait for each other's logs would wait for ever.
        histories: dict[str, History] = {
            run_id: stack.enter_context(open_history(store, run_id)) for run_id in sorted(records)
        }
        yield [
            Side(
                name,
                record,
                configs.get(record.id),
                histories[record.id],
                _imported(store, record),
                step,
            )
            for (record, step), name in zip(chosen, side_names(chosen), strict=True)
        ]


def _imported(store: RunStore, record: RunRecord) -> Imported | None:
    if record.status != "imported":
        return None
    try:
        return store.imported(record.id)
    except RunError:
        return None  # what was given with the import cannot be read; what was logged can


def option(record: RunRecord) -> str:
    """A run in a list to choose from."""
    return f"{record.name} · {moment(record.created)}"
