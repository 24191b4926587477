import re
import zlib
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from bnpipe.core.errors import InputError
from bnpipe.report.page import packed, picture, policy, script, vega, write_page

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="90pt" height="50pt" viewBox="0 0 90 50">\n<!-- a\ncomment -->'
    '<style>* { fill: #0072B2 }</style>\n<text>50% of "a" &amp; b &lt; \N{GREEK SMALL LETTER GAMMA}</text></svg>'
)


def test_a_picture_is_the_svg_itself_in_a_quoted_address(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(SVG, encoding="utf-8")
    shown = picture(tmp_path / "a.svg")
    assert (shown.width, shown.height) == (171, 95)  # 1.9 pixels a point
    kind, content = shown.address.split(",", 1)
    assert kind == "data:image/svg+xml;charset=utf-8"
    assert not set('"#&\n') & set(content)
    assert "comment" not in content
    texts = [element.text for element in ElementTree.fromstring(unquote(content))]
    assert texts == ["* { fill: #0072B2 }", '50% of "a" & b < \N{GREEK SMALL LETTER GAMMA}']


def test_a_picture_of_many_parts_is_the_same_in_fewer_bytes(tmp_path: Path) -> None:
    part = '<use href="#m0123456789" style="fill:#0072b2;stroke:none" y="7"/>'
    marker = '<defs><path id="m0123456789" d="m0 0l9 0"/></defs>'
    (tmp_path / "a.svg").write_text(f'<svg width="9pt" height="9pt">{marker}{part * 3}<use style="fill:red"/></svg>')
    content = unquote(picture(tmp_path / "a.svg").address.split(",", 1)[1])
    assert content == (
        "<svg width='9pt' height='9pt'><style>.c0{fill:#0072b2;stroke:none}</style>"
        "<defs><path id='q0' d='m0 0l9 0'/></defs>"
        + "<use href='#q0' class='c0' y='7'/>" * 3
        + "<use style='fill:red'/></svg>"
    )


def test_a_script_is_packed_in_the_format_that_browsers_unpack() -> None:
    text = "let a = '\N{GREEK SMALL LETTER GAMMA}';" * 100
    assert len(packed(text)) < len(text) / 2
    assert zlib.decompress(b64decode(packed(text))).decode() == text


def test_a_picture_without_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("<svg/>")
    with pytest.raises(InputError, match=r"a.svg: cannot be read \(no width in points\)"):
        picture(tmp_path / "a.svg")


def test_a_policy_names_scripts_by_their_digests() -> None:
    digest = b64encode(sha256(b"let a").digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy("let a")


def test_a_script_cannot_end_its_element() -> None:
    assert script('"</script>" + "</SCRIPT>"') == r'"<\/script>" + "<\/SCRIPT>"'


def test_vega_defines_what_the_page_calls_and_can_do_without_eval() -> None:
    assert "window.vegaEmbed" in vega()
    assert "expressionInterpreter" in vega()
    assert not re.search("</script|\r", vega(), re.IGNORECASE)


def test_a_value_that_is_no_json_or_unknown_is_one_line(tmp_path: Path) -> None:
    template = tmp_path / "a.html.j2"
    template.write_text("{{ name }}: {{ data | tojson }}")
    write_page(template, {"name": "<b>", "data": {"a": "</script>"}}, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text() == r'&lt;b&gt;: {"a":"\u003c/script\u003e"}'
    for values in ({"name": "a", "data": float("nan")}, {"data": 1}):
        with pytest.raises(InputError, match=r"a.html.j2: "):
            write_page(template, values, tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()
