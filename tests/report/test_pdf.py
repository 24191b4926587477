import re
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.figures.style import canvas, save, style
from bnpipe.report.pdf import make_pdf


def draw(path: Path) -> None:
    with style():
        figure = canvas(3.5, 2.0, "a heading")
        figure.subplots().plot([0, 1], [0, 1])
        save(figure, [path])


def test_the_pdf_has_the_size_of_the_figure_and_no_date(tmp_path: Path) -> None:
    draw(tmp_path / "a.svg")
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', (tmp_path / "a.svg").read_text(encoding="utf-8"))
    make_pdf(tmp_path / "a.svg", tmp_path / "deep/a.pdf")
    content = (tmp_path / "deep/a.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    found = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert found is not None
    assert [float(size) for size in found.groups()] == pytest.approx([float(width), float(height)], abs=0.01)
    assert float(width) == 3.5 * 72
    for word in (b"Date", b"/Font"):
        assert word not in content


def test_equal_figures_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path / f"{name}.svg")
        make_pdf(tmp_path / f"{name}.svg", tmp_path / f"{name}.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


@pytest.mark.parametrize("content", [None, "", "<svg/>", '<svg width="3pt" height="4pt">'])
def test_what_is_no_figure_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "a.svg").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.svg: expected a figure of bnpipe, got something else") as caught:
        make_pdf(tmp_path / "a.svg", tmp_path / "a.pdf")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "a.pdf").exists()
