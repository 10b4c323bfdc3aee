"""What this machine and this program are: devices, versions, and whether somebody looks after the runs."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import pandas as pd
import streamlit as st

from bcecore.jobs import devices
from bcecore.jobs.election import is_supervised
from bcecore.store.runs import RunStore
from bcecore.ui.words import plain, size

# What the results of a run and the looks of this dashboard depend on.
_PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "tokenizers",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "streamlit",
    "altair",
)


def show_facts(store: RunStore) -> None:
    """The machine in two short tables."""
    with st.container(border=True, key="machine-facts"):
        st.header("This machine", anchor=False)
        if is_supervised(store):
            st.markdown(
                ":green[:material/check_circle:] **A supervisor is at work:** waiting runs start by themselves."
            )
        else:
            st.markdown(
                ":orange[:material/hourglass_top:] **No supervisor is at work yet.** Every page starts one within "
                "seconds; until then waiting runs wait."
            )
        with st.grid(2, min_column_width=340) as grid:
            with grid.cell():
                st.subheader("Devices", anchor=False)
                _devices(store)
            with grid.cell():
                st.subheader("Versions", anchor=False)
                _table(
                    [("Python", platform.python_version()), *((name, _version(name)) for name in _PACKAGES)], "Versions"
                )


def _devices(store: RunStore) -> None:
    found = devices.found(store)
    if found is None:
        st.caption("They are being looked for; come back in a few seconds.")
        return
    kinds = {"cpu": "Processor", "cuda": "NVIDIA card", "mps": "Apple card"}
    _table(
        [
            (kinds[device.kind], device.name + (f" · {size(device.memory_bytes)}" if device.memory_bytes else ""))
            for device in found.devices
        ],
        "Devices on which a model can be trained",
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _table(rows: list[tuple[str, str]], alt: str) -> None:
    table = pd.DataFrame([(plain(name), plain(value)) for name, value in rows], columns=["Item", "Value"])
    st.table(table.set_index("Item"), border="horizontal", hide_header=True, alt=alt)
