"""What is BCE?: the regulariser in plain words, with its schedule and its components drawn."""

import streamlit as st

from bcecore.ui import about_bce
from bcecore.ui.page import LAUNCH_PAGE, begin

begin("What is BCE?")
st.title("What is BCE?", anchor=False)
about_bce.show_answer()
about_bce.show_objective()
about_bce.show_schedule()
about_bce.show_parts()
about_bce.show_profiles()
st.page_link(LAUNCH_PAGE, label="Try it in a run", icon=":material/rocket_launch:")
