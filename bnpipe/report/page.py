"""Pages of one file: a Jinja template with its figures, style, scripts and data inside, that fetches nothing."""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from markupsafe import Markup

from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write_text

VEGA_LITE = "6.4"  # what altair writes for, of those that vl-convert holds
CSS_PIXELS_PER_POINT = 1.9  # of CSS for a point: 4/3 is the printed size, whose letters are small on a screen
# What may not stand in a quoted address: the rest of it would be taken for a fragment, an escape, or an entity.
_ESCAPES = str.maketrans({"%": "%25", "#": "%23", '"': "%22", "&": "%26"})


class Picture(NamedTuple):
    """A figure as an `img` holds it."""

    address: Markup  # a data URI
    width: int  # pixels of CSS
    height: int


def write_page(template: Path, values: Mapping[str, Any], output: Path) -> None:
    """Render a template with its values into a page.

    Beside what Jinja has, a template finds `picture(path)`, `asset(name)`, `policy(*scripts)` and
    `vega()`. Raises InputError where a template or a figure cannot be read or a value is no JSON.
    """
    try:
        text = _environment(template.parent).get_template(template.name).render(**values)
    except (TemplateError, OSError, ValueError) as error:
        raise InputError(f"{template}: {error}") from error
    atomic_write_text(output, text)


def picture(figure: Path) -> Picture:
    """Read an SVG file. As text in its address it takes three quarters of what base64 takes."""
    try:
        text = figure.read_text(encoding="utf-8")
        svg = " ".join(re.sub("<!--.*?-->", "", text, flags=re.DOTALL).split())  # matplotlib writes texts there again
        width, height = (round(float(_size(svg, name)) * CSS_PIXELS_PER_POINT) for name in ("width", "height"))
    except (OSError, ValueError) as error:
        raise InputError(f"{figure}: cannot be read ({error}); the workflow makes it again") from error
    return Picture(Markup("data:image/svg+xml;charset=utf-8," + svg.translate(_ESCAPES)), width, height)


def policy(*scripts: str) -> str:
    """Return a content security policy: these scripts and no others run, and nothing is fetched.

    Vega writes styles into its drawings, hence 'unsafe-inline' for these; it needs no 'unsafe-eval' where it
    interprets its expressions.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    sources = f"img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"


def script(text: str) -> Markup:
    """Return a script as it may stand within its element."""
    return Markup(re.sub("</(script)", r"<\\/\1", text, flags=re.IGNORECASE))


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
    # The filter `tojson` escapes what could end the element it stands in; not a number is not JSON.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.globals.update(
        picture=picture,
        asset=lambda name: script((templates / name).read_text(encoding="utf-8")),
        policy=policy,
        vega=vega,
    )
    return environment
