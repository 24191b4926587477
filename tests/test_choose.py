import gzip
from pathlib import Path
from types import SimpleNamespace

import pytest

from bnpipe.choose import choose, main
from bnpipe.core.errors import InputError
from bnpipe.data.layouts import FILES
from tests.idx_files import known_as, small_payloads, write_small_folder
from tests.mirrors import Answer, Mirror, empty, for_ada, good, json_error, login_page, xml_error

NAMES = [f"{name}.gz" for name in FILES]
CONDITIONS = "conditions: {tanh: {activation: tanh, learning_rate: 0.01, init_std: 0.1, steps: 5}}\n"


@pytest.fixture(autouse=True)
def torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Avoid the network: make torchvision's only mirror a folder that does not exist."""
    published = SimpleNamespace(mirrors=[f"{tmp_path.as_uri()}/torchvision/"])
    monkeypatch.setattr("bnpipe.choose.torchvision_dataset", {"mnist": published}.__getitem__)
    monkeypatch.setenv("no_proxy", "*")
    known_as(monkeypatch, "mnist")
    return published


@pytest.mark.parametrize(
    ("dataset", "title"),
    [
        ("fashion_mnist", "Fashion-MNIST"),
        ("kmnist", "KMNIST"),
        ("digits", "scikit-learn's digits (not MNIST)"),
        ("/data/own", "/data/own"),
    ],
)
def test_another_data_set_is_kept_without_asking(dataset: str, title: str, tmp_path: Path) -> None:
    found, notice = choose(dataset, ["http://[malformed"], tmp_path)
    assert found == dataset
    assert notice == f"Data set: {title}, as config.yaml says."


def test_files_that_are_there(tmp_path: Path) -> None:
    folder = write_small_folder(tmp_path / "mnist", compressed=True)
    assert choose("mnist", [], folder) == ("mnist", f"Data set: MNIST, from {folder}/.")
    (folder / NAMES[3]).unlink()
    assert choose("mnist", [], folder)[0] == "digits"


def test_packed_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "packed.safetensors").write_bytes(b"packed")
    assert choose("mnist", [], tmp_path) == ("mnist", f"Data set: MNIST, from {tmp_path}/.")


@pytest.mark.parametrize("as_url", [True, False])
def test_configured_mirror_that_answers(tmp_path: Path, as_url: bool) -> None:
    source = write_small_folder(tmp_path / "source", compressed=True)
    mirror = source.as_uri() if as_url else str(source)
    found = choose("mnist", [f"{tmp_path.as_uri()}/nowhere", mirror], tmp_path / "mnist")
    assert found == ("mnist", f"Data set: MNIST, from {mirror}.")
    assert not (tmp_path / "mnist").exists()


def test_mirror_of_torchvision_that_answers(tmp_path: Path, torchvision: SimpleNamespace) -> None:
    source = write_small_folder(tmp_path / "source", compressed=True)
    torchvision.mirrors.append(source.as_uri())
    assert choose("mnist", [], tmp_path / "mnist") == ("mnist", f"Data set: MNIST, from {source.as_uri()}.")


def test_configured_mirrors_replace_torchvisions(tmp_path: Path, torchvision: SimpleNamespace) -> None:
    torchvision.mirrors.append(write_small_folder(tmp_path / "source", compressed=True).as_uri())
    assert choose("mnist", [f"{tmp_path.as_uri()}/nowhere"], tmp_path / "mnist")[0] == "digits"


@pytest.mark.parametrize(
    "mirrors",
    [[], ["http://127.0.0.1:1"], ["file:///nowhere", "http://127.0.0.1:port"], ["http://[malformed"], ["http://a..b"]],
    ids=repr,
)
def test_digits_are_chosen_if_no_mirror_answers(tmp_path: Path, mirrors: list[str]) -> None:
    dataset, notice = choose("mnist", mirrors, tmp_path / "mnist")
    assert dataset == "digits"
    assert notice.startswith("Data set: scikit-learn's digits (not MNIST), because no mirror of MNIST answers")
    assert "MIRROR=" in notice
    assert "\n" not in notice


@pytest.mark.parametrize("content", [b"<html>who are you?</html>", b"", b"\x1f"], ids=["page", "empty", "half"])
def test_answer_that_is_no_gzip_file_does_not_count(tmp_path: Path, content: bytes) -> None:
    source = write_small_folder(tmp_path / "source", compressed=True)
    for name in NAMES:
        (source / name).write_bytes(content)
    assert choose("mnist", [str(source)], tmp_path / "mnist")[0] == "digits"


@pytest.mark.parametrize("layout", [".", "MNIST/raw"])
@pytest.mark.parametrize("compressed", [False, True])
def test_all_layouts_are_seen(layout: str, compressed: bool, tmp_path: Path) -> None:
    root = tmp_path / "root"
    new = write_small_folder(root / layout / "new", compressed=compressed)
    for path in new.iterdir():
        path.rename(root / layout / path.name.replace("-idx", ".idx"))
    assert choose("mnist", [], root) == ("mnist", f"Data set: MNIST, from {root}/.")
    assert choose("mnist", [str(root)], tmp_path / "mnist") == ("mnist", f"Data set: MNIST, from {root}.")


def test_files_that_are_not_mnist_do_not_count(tmp_path: Path) -> None:
    folder = write_small_folder(tmp_path / "mnist")
    (folder / FILES[0]).write_bytes(b"another")
    assert choose("mnist", [], folder)[0] == "digits"
    dataset, notice = choose("mnist", [str(folder)], tmp_path / "resources")
    assert dataset == "digits"
    assert f"{folder / FILES[0]}: expected SHA-256" in notice


def test_server_is_asked_with_its_password_and_the_notice_hides_it(tmp_path: Path) -> None:
    files = {name: gzip.compress(payload) for name, payload in zip(NAMES, small_payloads().values(), strict=True)}
    with Mirror(files, for_ada) as mirror:
        right = mirror.url.replace("http://", "http://ada:p%40ss%2Fword@")
        shown = mirror.url.replace("http://", "http://***@")
        assert choose("mnist", [right], tmp_path) == ("mnist", f"Data set: MNIST, from {shown}.")
        dataset, notice = choose("mnist", [right.replace("word", "wood")], tmp_path)
        assert dataset == "digits"
        assert f"({shown}/{NAMES[1]}: HTTP Error 401: Unauthorized" in notice
        assert "p%40ss" not in notice
        mirror.answer, mirror.files = good, small_payloads()
        assert choose("mnist", [mirror.url], tmp_path)[0] == "mnist"  # plain files


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (login_page, "an HTML page"),
        (json_error, "a JSON document"),
        (xml_error, "an XML document"),
        (empty, "an empty"),
    ],
)
def test_notice_says_what_a_server_answers(answer: Answer, kind: str, tmp_path: Path) -> None:
    with Mirror(dict.fromkeys(NAMES, b""), answer) as mirror:
        dataset, notice = choose("mnist", [mirror.url], tmp_path)
    assert dataset == "digits"
    assert f"{mirror.url}/{NAMES[1]}: got {kind}" in notice


def test_notice_names_a_dead_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    _, notice = choose("mnist", ["http://localhost"], tmp_path)
    assert "asked through the proxy http://127.0.0.1:1 of http_proxy" in notice


def test_mirror_that_cannot_be_one_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mirrors: expected .*, got 'ftp://nowhere'"):
        choose("mnist", ["ftp://nowhere"], tmp_path)


# The command that the Makefile calls


def test_choice_goes_to_stdout_and_the_notice_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(f"dataset: mnist\n{CONDITIONS}")
    monkeypatch.chdir(tmp_path)
    main()
    output, notice = capsys.readouterr()
    assert output == "digits\n"
    assert notice.startswith("Data set: scikit-learn's digits (not MNIST), because ")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (f"{CONDITIONS}seeds: 0\nbatch_size: 1\n", 2),
        (f"{CONDITIONS}{CONDITIONS}", 1),
        (f"{CONDITIONS}mirrors: [no/such/folder]\n", 1),
        ("seeds: [1\n", 1),
        ("seeds: !own 1\n", 1),
        ("", 1),
    ],
    ids=["bad values", "duplicate key", "bad mirror", "broken", "tag", "empty"],
)
def test_bad_configuration_ends_in_lines_for_the_user(
    content: str, lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as raised:
        main()
    found = str(raised.value.code).splitlines()
    assert len(found) == lines
    assert all(line.startswith("error: ") for line in found)
    assert capsys.readouterr().out == ""
