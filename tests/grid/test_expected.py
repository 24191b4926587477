from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bnpipe.core.errors import InputError
from bnpipe.core.records import Origin, Record, write_record
from bnpipe.grid.config import Configuration
from bnpipe.grid.expected import check_records, expected_records
from bnpipe.grid.layout import Layout
from bnpipe.grid.stacks import Stack, condition_stacks, study_stacks
from tests.conftest import make_record
from tests.grid.test_stacks import STUDY, configuration

CODE, DATA = "c0de" * 16, "da7a" * 16


def planned(**changes: Any) -> tuple[Configuration, dict[str, Any]]:
    made = configuration(seeds=2, studies={"rates": STUDY}, **changes)
    return made, expected_records(made, "digits", CODE, made.conditions, made.studies)


def record_of(stack: Stack, code: str = CODE, data: str = DATA, dataset: str = "digits", device: str = "cpu") -> Record:
    made = make_record(stack.group, seeds=stack.runs.seeds)
    origin = Origin(dataset, data, code, device, {})
    return replace(made, settings=stack.runs.each, origin=origin)


def written(stack: Stack, folder: Path, **origin: str) -> Path:
    path = folder / Layout("digits").record(stack)
    write_record(record_of(stack, **origin), path)
    return path


def stacks_of(made: Configuration) -> list[Stack]:
    return [*condition_stacks(made, "zebra"), *study_stacks(made, "rates")]


def test_records_of_the_plan_are_accepted_wherever_they_lie(tmp_path: Path) -> None:
    made, expected = planned()
    check_records([written(stack, tmp_path / "a prefix") for stack in stacks_of(made)], expected, DATA)
    study = expected_records(made, "digits", CODE, studies=["rates"])
    check_records([written(stack, tmp_path) for stack in study_stacks(made, "rates")], study)


def test_what_a_job_expects_is_plain_and_of_its_own_groups_alone() -> None:
    made, _ = planned()
    expected = expected_records(made, "digits", CODE, conditions=["ant"])
    assert list(expected["configuration"]["conditions"]) == ["ant"]
    assert expected["configuration"]["studies"] == {}
    assert "smallest_effects" not in expected["configuration"]


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 30}, "batch_size: expected 30, as planned, got 60"),
    ({"evaluation_interval": 7}, "evaluation_interval: expected 7, as planned, got 60"),
    ({"normalization": {"epsilon": 0.5}}, "epsilon: expected 0.5, as planned, got 0.001"),
    ({"diagnostics": False}, "diagnostics: expected False, as planned, got True"),
    ({"keep_weights": True}, "keep_weights: expected True, as planned, got False"),
    ({"device": "cuda"}, "device: expected cuda, as planned, got cpu"),
]


@pytest.mark.parametrize(("changes", "complaint"), CHANGES, ids=str)
def test_records_of_another_configuration_are_refused(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    made, _ = planned()
    _, expected = planned(**changes)
    path = written(next(condition_stacks(made, "zebra")), tmp_path)
    with pytest.raises(InputError) as caught:
        check_records([path], expected, DATA)
    assert str(caught.value) == f"{path}: {complaint}; delete this record to train it again, or undo the change"
    assert path.is_file()


def test_another_learning_rate_is_named_with_both_values(tmp_path: Path) -> None:
    made, expected = planned()
    condition = made.conditions["zebra"].model_copy(update={"learning_rate": 1.5})
    other = made.model_copy(update={"conditions": {**made.conditions, "zebra": condition}})
    path = written(next(condition_stacks(other, "zebra")), tmp_path)
    with pytest.raises(InputError, match=r"learning_rate: expected 0.01, as planned, got 1.5; delete"):
        check_records([path], expected)


@pytest.mark.parametrize(
    ("origin", "complaint"),
    [
        ({"code": "01d" * 21 + "0"}, "training code: expected c0dec0dec0de, as planned, got 01d01d01d01d"),
        ({"data": "f" * 64}, "data: expected da7ada7ada7a, as planned, got ffffffffffff"),
        ({"dataset": "mnist"}, "dataset: expected digits, as planned, got mnist"),
        ({"device": "cuda (H100, float32)"}, "device: expected cpu, as planned, got cuda"),
    ],
)
def test_records_of_another_origin_are_refused(tmp_path: Path, origin: dict[str, str], complaint: str) -> None:
    made, expected = planned()
    path = written(next(condition_stacks(made, "zebra")), tmp_path, **origin)
    with pytest.raises(InputError, match=complaint):
        check_records([path], expected, DATA)


def test_records_of_another_part_are_refused(tmp_path: Path) -> None:
    part = "tests.modules.own_parts:OwnNorm"
    made, expected = planned(arms=["vanilla", part])
    digest = expected["parts"][part]
    assert expected["parts"].keys() == {part}
    vanilla, own = condition_stacks(made, "zebra")
    records = []
    for stack, parts in ((vanilla, {}), (own, {part: digest})):
        record = record_of(stack)
        records.append(tmp_path / Layout("digits").record(stack))
        write_record(replace(record, origin=replace(record.origin, parts=parts)), records[-1])
    check_records(records, expected, DATA)
    other = {**expected, "parts": {part: "0" * 64}}
    check_records(records[:1], other, DATA)  # which does not depend on it
    with pytest.raises(
        InputError, match=rf"code of {part}: expected 000000000000, as planned, got {digest[:12]}; delete"
    ):
        check_records(records, other, DATA)
    write_record(record_of(own), records[1])
    with pytest.raises(InputError, match=rf"code of {part}: expected {digest[:12]}, as planned, got None"):
        check_records(records, expected, DATA)


def test_what_is_expected_of_parts_is_of_the_named_groups_alone() -> None:
    arm, swish = "tests.modules.own_parts:OwnNorm", "tests.modules.own_parts:swish"
    study = {**STUDY, "arms": ["vanilla"], "sweep": {"activation": ["tanh", swish]}}
    made = configuration(arms=["vanilla", arm], studies={"rates": study})
    assert expected_records(made, "digits", CODE, conditions=["ant"])["parts"].keys() == {arm}
    assert expected_records(made, "digits", CODE, studies=["rates"])["parts"].keys() == {swish}
    assert expected_records(made, "digits", CODE)["parts"] == {}


def test_records_of_different_data_never_meet(tmp_path: Path) -> None:
    made, expected = planned()
    first, second, *_ = stacks_of(made)
    paths = [written(first, tmp_path), written(second, tmp_path, data="f" * 64)]
    with pytest.raises(InputError, match=r"batchnorm/seeds.*: data: expected da7ada7ada7a"):
        check_records(paths, expected)  # whatever the packed file is


def test_a_record_under_anothers_name_is_refused(tmp_path: Path) -> None:
    made, expected = planned()
    vanilla, batchnorm = condition_stacks(made, "zebra")
    path = tmp_path / Layout("digits").record(vanilla)
    write_record(record_of(batchnorm), path)
    with pytest.raises(InputError, match="arm: expected vanilla, as planned, got batchnorm"):
        check_records([path], expected)
    elsewhere = path.with_name("seeds-1-2.safetensors")
    path.rename(elsewhere)
    with pytest.raises(InputError, match=r"seeds-1-2.safetensors: expected a record that the configuration asks for"):
        check_records([elsewhere], expected)


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    made, expected = planned()
    path = tmp_path / Layout("digits").record(next(condition_stacks(made, "zebra")))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="expected a run record, got something else"):
        check_records([path], expected)


def test_long_values_are_cut(tmp_path: Path) -> None:
    made, expected = planned()
    more: Mapping[str, Any] = {**expected, "configuration": {**expected["configuration"], "hidden_sizes": [7] * 99}}
    path = written(next(condition_stacks(made, "zebra")), tmp_path)
    with pytest.raises(InputError) as caught:
        check_records([path], more)
    assert "hidden_sizes: expected (7, 7," in str(caught.value)
    assert len(str(caught.value)) - len(str(path)) < 320
