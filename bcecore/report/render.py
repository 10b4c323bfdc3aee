"""Charts as pictures: SVG and PNG files from a specification, without a browser.

The renderer is a large library that keeps its memory. It is imported by the first picture and not before: most
dashboards never make one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

PICTURE_WIDTH = 760
"""Of a chart, in pixels; its height is the one that it has on a page."""
_FONT = "Source Sans Pro, Helvetica, Arial, sans-serif"
_INK = {False: ("#ffffff", "#14181f", "#dfe2e7"), True: ("#12161c", "#f1f3f5", "#333a45")}


def as_svg(spec: Mapping[str, Any], dark: bool = False) -> str:
    """A chart as the text of an SVG file. ValueError for a specification that cannot be drawn."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(_complete(spec, dark)))


def as_png(spec: Mapping[str, Any], dark: bool = False, scale: float = 2) -> bytes:
    """A chart as a PNG file, `scale` image pixels to each of its own. ValueError as for `as_svg`."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(_complete(spec, dark), scale=scale))


def _complete(spec: Mapping[str, Any], dark: bool) -> dict[str, Any]:
    """What a page adds to a chart: rows in place of tables, a width, the colours and the type of its theme."""
    paper, ink, grid = _INK[dark]
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    config = {
        "font": _FONT,
        "background": paper,
        "view": {"stroke": None},
        "axis": {**text, "gridColor": grid, "domainColor": grid, "tickColor": grid},
        "legend": text,
        "title": {"color": ink, "fontSize": 15, "anchor": "start", "offset": 10},
        "text": {"color": ink},
    }
    datasets = {
        name: _rows(table) if isinstance(table, pd.DataFrame) else table
        for name, table in spec.get("datasets", {}).items()
    }
    return {
        "width": PICTURE_WIDTH,
        **spec,
        "padding": 12,
        "datasets": datasets,
        "config": {**config, **spec.get("config", {})},
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """With null in place of NaN, which JSON has not."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
