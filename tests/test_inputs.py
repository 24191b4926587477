from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnpipe.core.digests import PACKAGE, code_digest
from bnpipe.core.errors import InputError
from bnpipe.data.prepare import prepare
from bnpipe.inputs import check_inputs, check_job, paths

SCRIPTS = PACKAGE.parent / "workflow/scripts"


class Named(dict[str, Any]):
    """Files by name, as Snakemake passes them."""


def handed(code: str, scripts: Path = SCRIPTS, **expected: Any) -> Any:
    params = SimpleNamespace(code=code, get=expected.get)
    return SimpleNamespace(params=params, input=Named(), scriptdir=str(scripts))


def test_the_code_that_was_planned_is_accepted() -> None:
    check_job(handed(code_digest("analysis.words")), "analysis.words")


def test_code_that_was_edited_since_the_plan_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected code 0000.* it was edited since; run the same command again"):
        check_job(handed("0" * 64), "analysis.words")


def test_a_part_of_ones_own_that_was_edited_since_the_plan_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^torch.nn.functional:silu: expected code 000000000000, .* it was edited since"
    ):
        check_job(handed(code_digest("analysis.words"), parts={"torch.nn.functional:silu": "0" * 64}), "analysis.words")


def test_another_copy_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        check_job(handed("0" * 64, scripts=tmp_path / "workflow/scripts"), "analysis.words")
    assert str(caught.value).startswith(f"{PACKAGE}: expected code 000000000000")
    assert f"this copy was imported instead of the one in {tmp_path}" in str(caught.value)


def test_the_split_of_the_packed_data_is_checked(tmp_path: Path) -> None:
    packed = tmp_path / "packed.safetensors"
    prepare("digits", [], 300, tmp_path, packed)
    check_inputs({"packed": packed}, {"validation_images": 300})
    check_inputs({"packed": packed}, None)  # a job that expects nothing
    with pytest.raises(InputError, match="validation_images: expected 200, as configured, got 300"):
        check_inputs({"packed": packed}, {"validation_images": 200})


def test_files_become_paths_by_name() -> None:
    files = Named(table="a.csv", records=["b", "c"], none=[])
    assert paths(files) == {"table": Path("a.csv"), "records": [Path("b"), Path("c")], "none": []}
