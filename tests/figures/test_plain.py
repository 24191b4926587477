import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DRAW = """
import sys
from pathlib import Path
from bnpipe.figures.plain import import_plainly
import_plainly()
from bnpipe.figures.style import ONE_COLUMN, canvas, save, style
with style():
    figure = canvas(ONE_COLUMN, 2, "a heading")
    axes = figure.subplots()
    axes.imshow([[0, 1], [2, 3]])
    axes.plot([0, 1], [0, 1], label="a line")
    axes.set_xlabel("x")
    axes.legend()
    save(figure, [Path(sys.argv[1], name) for name in ("figure.svg", "figure.png")])
"""
TASTE = b"axes.facecolor: black\naxes.labelsize: 30\nimage.lut: 3\nlines.linestyle: --\nsavefig.transparent: True\n"


def draw(folder: Path, **environment: str) -> tuple[dict[str, bytes], str]:
    """Draw in a new process with the folder as working folder; return the files and what was said."""
    (folder / "figures").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(folder / "figures")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}, done.stderr


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    files, said = draw(tmp_path_factory.mktemp("plain"))
    assert len(files) == 2, said
    return files


def write(path: Path, content: bytes = TASTE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def in_the_folder(content: bytes) -> Callable[[Path], dict[str, str]]:
    def prepare(folder: Path) -> dict[str, str]:
        write(folder / "matplotlibrc", content)
        return {}

    return prepare


# Each prepares a folder and returns variables of the environment.
SURROUNDINGS: dict[str, Callable[[Path], dict[str, str]]] = {
    "a notebook": lambda _: {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    "an unknown backend": lambda _: {"MPLBACKEND": "nonsense"},
    "a matplotlibrc in the folder": in_the_folder(TASTE),
    "a broken matplotlibrc": in_the_folder(b"axes.grid: maybe\nno.such.key: 1\n\xff\n"),
    "a matplotlibrc by name": lambda folder: {"MATPLOTLIBRC": str(write(folder / "a/own.rc"))},
    "a folder of settings": lambda folder: {"MPLCONFIGDIR": str(write(folder / "a/matplotlibrc").parent)},
    "settings in the home folder": lambda folder: {
        "HOME": str(write(folder / ".config/matplotlib/matplotlibrc").parents[2]),
        "XDG_CONFIG_HOME": "",
    },
    "a style sheet": lambda folder: {"MPLCONFIGDIR": str(write(folder / "a/stylelib/default.mplstyle").parents[1])},
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_personal_settings_of_plots_do_not_reach_a_figure(
    tmp_path: Path, expected: dict[str, bytes], surroundings: Callable[[Path], dict[str, str]]
) -> None:
    files, said = draw(tmp_path, **surroundings(tmp_path))
    assert files == expected, said
    assert said == ""
