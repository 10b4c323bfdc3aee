"""One upright line through all charts of a page: where the pointer is in one of them, the others show the same place.

The charts of a page cover the same stretch of the horizontal axis, so the same place of the axis is the same share of
the width. That is all the browser has to know; no chart is drawn anew, and nothing is asked of the server.
"""

from __future__ import annotations

import streamlit as st

from bcecore.report.palette import NEUTRAL

LINKED = "linked-chart"
"""What the key of every chart begins with that has a part in this."""

# The first frame inside of a drawn chart is what its axes enclose. The lines lie above the page and not in the charts,
# whose elements belong to others. They answer to nothing, and a finger, which has no place before it touches, moves
# none of them.
_SCRIPT = """
<script>
(() => {
  if (window.bceCrosshair) return;
  window.bceCrosshair = true;
  const linked = '[class*="st-key-LINKED-"]';
  const layer = document.createElement('div');
  layer.className = 'bce-crosshair';
  layer.setAttribute('aria-hidden', 'true');
  layer.style.cssText = 'position:fixed;inset:0;overflow:hidden;pointer-events:none;z-index:1';
  document.body.append(layer);
  const lines = [];
  let pointer = null;
  let waiting = false;

  const area = (chart) => {
    const frame = chart.querySelector('svg.marks .background');
    return frame && frame.getBoundingClientRect();
  };
  const draw = () => {
    waiting = false;
    const places = [];
    const over = pointer && document.elementFromPoint(pointer.x, pointer.y);
    const chart = over && over.closest(linked);
    const inside = chart && area(chart);
    const share = inside ? (pointer.x - inside.left) / inside.width : -1;
    if (share >= 0 && share <= 1 && pointer.y >= inside.top && pointer.y <= inside.bottom) {
      for (const other of document.querySelectorAll(linked)) {
        const box = other !== chart && area(other);
        if (box && box.width && box.bottom > 0 && box.top < window.innerHeight) places.push(box);
      }
    }
    while (lines.length < places.length) {
      const line = document.createElement('div');
      line.style.cssText = 'position:absolute;left:0;top:0;width:1px;background:NEUTRAL';
      layer.append(line);
      lines.push(line);
    }
    lines.forEach((line, place) => {
      const box = places[place];
      line.hidden = !box;
      if (!box) return;
      line.style.height = box.height + 'px';
      line.style.transform = `translate(${box.left + share * box.width - 0.5}px, ${box.top}px)`;
    });
  };
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  };
  const passive = { passive: true, capture: true };
  document.addEventListener('pointermove', (event) => {
    pointer = event.pointerType === 'touch' ? null : { x: event.clientX, y: event.clientY };
    soon();
  }, passive);
  document.addEventListener('scroll', soon, passive);
  window.addEventListener('resize', soon, passive);
  for (const leaving of ['pointerleave', 'pointercancel']) {
    document.documentElement.addEventListener(leaving, () => { pointer = null; soon(); }, { passive: true });
  }
})();
</script>
"""


def link_charts() -> None:
    """Have the charts of this page show the line; once for a page, at the end of a horizontal container."""
    script = _SCRIPT.replace("LINKED", LINKED).replace("NEUTRAL", NEUTRAL)
    st.html(script, width="content", unsafe_allow_javascript=True)
