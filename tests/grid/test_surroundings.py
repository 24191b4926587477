import getpass
import os
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.grid.surroundings import check_folder, provide_home

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # where Python looks for the user's name


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user that is in no list of users."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HOME")


def test_a_home_folder_that_can_be_written_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    provide_home(tmp_path / "home")
    assert (os.environ["HOME"], os.environ["USER"]) == (str(tmp_path), "me")
    assert not (tmp_path / "home").exists()


def test_a_home_folder_that_is_missing_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    monkeypatch.chdir(tmp_path)
    provide_home(Path(".snakemake/home"))
    assert Path(os.environ["HOME"]) == tmp_path / ".snakemake/home"
    assert (tmp_path / ".snakemake/home").is_dir()


@pytest.mark.usefixtures("nobody")
def test_a_user_without_home_and_name_gets_both(tmp_path: Path) -> None:
    provide_home(tmp_path / "home")
    assert Path.home() == tmp_path / "home"
    assert getpass.getuser() == str(os.getuid())


@pytest.mark.parametrize("name", ["{condition}", "a}"])
def test_braces_in_the_path_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"expected a path without braces, .*; move the project"):
        check_folder(tmp_path / name)
    check_folder(tmp_path / "my project's #1, größer")
