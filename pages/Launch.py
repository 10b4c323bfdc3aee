"""Launch: choose what to run, see what it will do before it does it, and start it."""

import streamlit as st

from bcecore.ui import launch_state
from bcecore.ui.launch_draft import read_form
from bcecore.ui.launch_sections import show_form
from bcecore.ui.launch_start import show_launch
from bcecore.ui.page import begin

store = begin("Launch")
origin = launch_state.prepare(store)
# The spinner of a text that is being read appears beside the title, where it moves nothing.
with st.container(horizontal=True, vertical_alignment="center"):
    st.title("New run", anchor=False)
    draft = read_form(store, origin)
show_form(store, draft)
show_launch(store, draft)
