"""Figures as PDF, for a paper: the figure's SVG is converted, so it is the same picture that the page shows.

Lines stay lines, and letters are outlines, as in the SVG: no font has to be embedded, and text cannot be searched.
"""

import re
from pathlib import Path

import vl_convert

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write_bytes

_IN_POINTS = re.compile(r'\b(width|height)="([\d.]+)pt"')


def make_pdf(picture: Path, pdf: Path) -> None:
    """Convert a figure's SVG; the PDF has its size, and no date. Raises InputError if the SVG cannot be read."""
    try:
        svg = picture.read_text(encoding="utf-8")
        # A length without a unit is read as points of the PDF; a length in points is enlarged by 4/3.
        sized, lengths = _IN_POINTS.subn(r'\1="\2"', svg, count=2)
        if lengths != 2:
            raise ValueError("no width and height in points")
        content = vl_convert.svg_to_pdf(sized)
    except (OSError, ValueError, RuntimeError) as error:
        reason, *_ = str(error).splitlines()
        raise InputError(
            f"{picture}: expected a figure of bnpipe, got something else ({reason}); "
            "delete it and run the same command again"
        ) from error
    atomic_write_bytes(pdf, content)
