"""A page in a single file that fetches nothing: a Jinja template with its figures, style, scripts and data inside."""

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from markupsafe import Markup

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write_text
from bnpipe.report.image_svg import shorten

VEGA_LITE = "6.4"  # the version that altair writes for, among those that vl-convert holds
CSS_PIXELS_PER_POINT = 1.9  # 4/3 would be the printed size, whose letters are small on a screen
# Characters that would end a quoted address, or start a fragment, an escape or an entity in it.
_ESCAPES = str.maketrans({"%": "%25", "#": "%23", '"': "%22", "&": "%26"})


class Picture(NamedTuple):
    """A figure as an `img` element holds it."""

    address: Markup  # a data URI
    width: int  # pixels of CSS
    height: int


def write_page(template: Path, values: Mapping[str, Any], output: Path) -> None:
    """Render a template with its values into a page.

    Besides what Jinja offers, a template can use `picture(path)`, `asset(name)`, `policy(*scripts)`, `packed(text)`
    and `vega()`. Raises InputError if a template or a figure cannot be read, or if a value is not JSON.
    """
    try:
        text = _environment(template.parent).get_template(template.name).render(**values)
    except (TemplateError, OSError, ValueError) as error:
        raise InputError(f"{template}: cannot be rendered ({error}); restore it and run the workflow again") from error
    atomic_write_text(output, text)


def picture(figure: Path) -> Picture:
    """Read an SVG file into an address, as text: base64 would take a third more space.

    Raises InputError if the file cannot be read or does not state its size in points.
    """
    try:
        text = figure.read_text(encoding="utf-8")
        svg = " ".join(re.sub("<!--.*?-->", "", text, flags=re.DOTALL).split())  # comments only repeat texts
        width, height = (round(float(_size(svg, name)) * CSS_PIXELS_PER_POINT) for name in ("width", "height"))
    except (OSError, ValueError) as error:
        raise InputError(f"{figure}: cannot be read ({error}); the workflow makes it again") from error
    return Picture(Markup("data:image/svg+xml;charset=utf-8," + shorten(svg).translate(_ESCAPES)), width, height)


def policy(*scripts: str) -> str:
    """Return a content security policy: only these scripts may run, and nothing is fetched.

    Vega writes styles into its drawings, so styles need 'unsafe-inline'. Scripts need no 'unsafe-eval', because the
    page makes Vega interpret its expressions.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    sources = f"img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"


def script(text: str) -> Markup:
    """Return a script in a form that cannot end the element that holds it."""
    return Markup(re.sub("</(script)", r"<\\/\1", text, flags=re.IGNORECASE))


def packed(text: str) -> str:
    """Return a text in two fifths of its bytes; decode base64, then `DecompressionStream("deflate")`."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


@cache
def vega() -> Markup:
    """Return Vega, Vega-Lite and Vega-Embed as one script; it defines `vegaEmbed`."""
    return script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed", vl_version=VEGA_LITE))


def _size(svg: str, name: str) -> str:
    found = re.search(rf'<svg[^>]*?\s{name}="([\d.]+)pt"', svg)
    if not found:
        raise ValueError(f"no {name} in points")
    return found[1]


def _environment(templates: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The filter `tojson` escapes what could end its element; it must refuse nan, which is not JSON.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.globals.update(
        picture=picture,
        asset=lambda name: script((templates / name).read_text(encoding="utf-8")),
        policy=policy,
        packed=packed,
        vega=vega,
    )
    return environment
