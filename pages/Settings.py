"""Settings: how this machine runs things, what it has, and what the runs take of its disk."""

import streamlit as st

from bcecore.ui.machine_disk import show_disk
from bcecore.ui.machine_facts import show_facts
from bcecore.ui.machine_form import show_form
from bcecore.ui.page import begin

store = begin("Settings")
st.title("Settings", anchor=False)
show_form(store)
show_disk(store)
show_facts(store)
