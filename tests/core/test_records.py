from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.records import Curves, join, read_label, read_record, read_weights, write_record
from tests.conftest import make_record, make_settings


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = make_record(seeds=(42, 43))
    write_record(record, tmp_path / "deep/record.safetensors")
    back = read_record(tmp_path / "deep/record.safetensors")
    assert (back.condition, back.settings, back.origin) == (record.condition, record.settings, record.origin)
    for field in fields(Curves):
        found, expected = getattr(back.curves, field.name), getattr(record.curves, field.name)
        np.testing.assert_equal(found, expected)
        if isinstance(expected, np.ndarray):
            assert found.dtype == expected.dtype


def test_what_was_not_measured_comes_back_as_nothing(tmp_path: Path) -> None:
    record = make_record(diagnostics=False)
    write_record(record, tmp_path / "record.safetensors")
    curves = read_record(tmp_path / "record.safetensors").curves
    assert curves.failure is None
    assert curves.training_set_loss is None
    assert curves.diagnostics == {}


def test_weights_are_read_of_one_run_and_not_with_the_curves(tmp_path: Path) -> None:
    record, path = make_record(seeds=(42, 43)), tmp_path / "record.safetensors"
    weights = {
        "layers.0.weight": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
        "layers.0.key": np.array([[1], [7]]),
    }
    write_record(replace(record, curves=replace(record.curves, weights=weights)), path)
    assert read_record(path).curves.weights == {}
    assert read_label(path).seeds == (42, 43)
    found = read_weights(path, 1)
    assert {name: array.tolist() for name, array in found.items()} == {
        "layers.0.weight": [[6, 7, 8], [9, 10, 11]],
        "layers.0.key": [7],
    }
    assert found["layers.0.weight"].dtype == np.float32


def test_a_record_without_weights_has_none_to_read(tmp_path: Path) -> None:
    write_record(make_record(), tmp_path / "record.safetensors")
    assert read_weights(tmp_path / "record.safetensors", 0) == {}


def test_runs_of_a_record_may_differ_in_learning_rate_and_initialization(tmp_path: Path) -> None:
    settings = (make_settings(learning_rate=0.1), make_settings(init_std="he"))
    write_record(replace(make_record(seeds=(42, 43)), settings=settings), tmp_path / "record.safetensors")
    assert read_record(tmp_path / "record.safetensors").settings == settings


def test_a_record_says_which_parts_of_ones_own_it_was_made_with(tmp_path: Path) -> None:
    record = make_record()
    origin = replace(record.origin, parts={"my.norms:MeanOnly": "f" * 64})
    record = replace(record, settings=(make_settings(arm="my.norms:MeanOnly"),), origin=origin)
    write_record(record, tmp_path / "record.safetensors")
    back = read_record(tmp_path / "record.safetensors")
    assert (back.settings[0].arm, back.arm, back.origin) == ("my.norms:MeanOnly", "MeanOnly", origin)


def test_equal_records_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_record(make_record(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_first_nonfinite_step() -> None:
    curves = make_record(seeds=(42, 43, 44, 45), steps=4).curves
    loss = np.ones((4, 4), np.float32)
    loss[1, 2] = np.nan
    loss[2, 1:] = np.inf
    weights = np.array([1, 1, 0, 0], np.uint8)  # the last run's last update overflowed
    assert replace(curves, training_loss=loss, finite_weights=weights).first_nonfinite_step.tolist() == [-1, 2, 1, 3]
    assert np.isfinite(loss[3]).all()  # the curves are not touched


def test_join_puts_runs_one_after_the_other() -> None:
    parts = [make_record(seeds=(42,)).curves, make_record(seeds=(43, 44)).curves]
    parts = [
        replace(part, weights={"layers.0.weight": np.full((len(part.seeds), 2, 1), first)})
        for first, part in enumerate(parts)
    ]
    joined = join(parts)
    assert joined.weights["layers.0.weight"][:, 0, 0].tolist() == [0, 1, 1]
    assert joined.seeds.tolist() == [42, 43, 44]
    np.testing.assert_array_equal(joined.accuracy, np.concatenate([part.accuracy for part in parts]))
    np.testing.assert_array_equal(joined.steps, parts[0].steps)
    np.testing.assert_array_equal(
        joined.diagnostics["dead"], np.concatenate([part.diagnostics["dead"] for part in parts])
    )


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage", "other safetensors"])
def test_a_damaged_record_is_one_line_that_names_it(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "record.safetensors"
    write_record(make_record(), path)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "other safetensors":
        from safetensors.numpy import save_file

        save_file({"x": np.zeros(3)}, path)
    else:
        path.write_bytes({"empty": b"", "truncated": whole[:-5], "garbage": b"\xff" * 100}[damage])
    with pytest.raises(InputError) as error:
        read_record(path)
    assert str(error.value).startswith(f"{path}: expected a run record, got something else (")
    assert len(str(error.value).splitlines()) == 1
