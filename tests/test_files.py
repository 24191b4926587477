from pathlib import Path

import pytest

from bnpipe.files import write_text_whole, written_whole


def test_creates_folders_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "file.txt"
    with written_whole(path) as partial:
        partial.write_text("content")
        assert partial.parent == path.parent  # a rename within a folder cannot be half done
        assert not path.exists()
    assert path.read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


def test_readers_see_the_old_content_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with written_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("fault", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("old", ["old", None])
def test_interrupted_writing_changes_nothing(tmp_path: Path, fault: BaseException, old: str | None) -> None:
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)
    with pytest.raises(type(fault)), written_whole(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise fault
    assert [file.read_text() for file in tmp_path.iterdir()] == ([] if old is None else [old])


def test_block_that_writes_nothing_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), written_whole(path):
        pass
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_text_is_utf8(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.txt"
    write_text_whole(path, "σ² ü\n")
    assert path.read_bytes() == b"\xcf\x83\xc2\xb2 \xc3\xbc\n"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    with written_whole(tmp_path / "private") as partial:
        partial.touch(mode=0o600)
    (tmp_path / "other").touch()
    assert (tmp_path / "private").stat().st_mode == (tmp_path / "other").stat().st_mode
