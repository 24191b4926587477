import json
from hashlib import sha256
from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.records import write_record
from bnpipe.report.provenance import make_provenance
from tests.conftest import make_record

LINEAGE = {
    "results/runs/tanh/a.safetensors": {"rule": "train", "code_sha256": "c" * 64, "made_from": ["packed.safetensors"]},
    "results/table.csv": {"rule": "tables", "code_sha256": "e" * 64, "made_from": ["results/runs/tanh/a.safetensors"]},
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # as in a job: paths are relative
    write_record(make_record("tanh", "batchnorm", (42, 43)), Path("results/runs/tanh/a.safetensors"))
    Path("results/table.csv").write_text("a\n1\n")
    return Path("results/provenance.json")


def write(output: Path) -> bytes:
    files = [Path(name) for name in LINEAGE]
    make_provenance(files, LINEAGE, {"seeds": [42, 43]}, {"name": "mnist", "title": "MNIST \N{EM DASH}"}, output)
    return output.read_bytes()


def test_every_file_is_told_by_checksum_rule_code_and_inputs(written: Path) -> None:
    manifest = json.loads(write(written))
    assert manifest["files"]["results/table.csv"] == {
        "sha256": sha256(b"a\n1\n").hexdigest(),
        **LINEAGE["results/table.csv"],
    }
    assert list(manifest["files"]) == list(LINEAGE)
    assert manifest["configuration"] == {"seeds": [42, 43]}
    assert manifest["dataset"]["title"] == "MNIST \N{EM DASH}"
    assert {"python", "numba", "numpy", "torch", "matplotlib"} <= manifest["versions"].keys()


def test_a_record_says_what_it_is_and_where_it_comes_from(written: Path) -> None:
    record = json.loads(write(written))["records"]["results/runs/tanh/a.safetensors"]
    assert (record["condition"], record["arm"], record["seeds"]) == ("tanh", "batchnorm", [42, 43])
    assert (record["dataset_sha256"], record["code_sha256"], record["device"]) == ("d" * 64, "c" * 64, "cpu")
    assert record["versions"]["numba"] == "0.68.1"


def test_it_is_the_same_whenever_and_wherever_it_is_written(written: Path) -> None:
    first = write(written)
    assert write(written) == first
    assert str(Path.cwd()).encode() not in first


def test_a_missing_file_is_one_line(written: Path) -> None:
    Path("results/table.csv").unlink()
    with pytest.raises(InputError, match=r"results/table.csv: cannot be read"):
        write(written)
    assert not written.exists()
