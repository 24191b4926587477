import pytest

from bnpipe.core.paths import portable

NAME = "results/digits/runs/tanh/vanilla/seeds-1-2.safetensors"


@pytest.mark.parametrize(
    "before", ["", "normalization/", "/data/my results/", "/results/digits/old/", ".snakemake/storage/fs/work/"]
)
def test_what_comes_before_the_folders_of_a_data_set_is_left_out(before: str) -> None:
    assert portable(before + NAME, "digits") == NAME
    assert portable(f"{before}resources/digits/packed.safetensors", "digits") == "resources/digits/packed.safetensors"
    assert portable(f"{before}logs/digits/data.log", "digits") == "logs/digits/data.log"


@pytest.mark.parametrize("path", ["my_results/digits/a.csv", "results/mnist/a.csv", "config.yaml", "/a/page.css"])
def test_other_paths_stay(path: str) -> None:
    assert portable(path, "digits") == path
