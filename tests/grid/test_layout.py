from bnpipe.grid.layout import Layout
from bnpipe.grid.stacks import condition_stacks, study_stacks
from tests.grid.test_stacks import STUDY, configuration

LAYOUT = Layout("digits")


def test_everything_of_a_data_set_is_below_its_three_folders() -> None:
    assert LAYOUT.packed == "resources/digits/packed.safetensors"
    assert LAYOUT.table("runs") == "results/digits/tables/runs.csv"
    assert LAYOUT.study_table("depth", "runs") == "results/digits/studies/depth/runs.csv"
    assert LAYOUT.figure("tanh/all_seeds") == (
        "results/digits/figures/tanh/all_seeds.svg",
        "results/digits/figures/tanh/all_seeds.png",
    )
    assert LAYOUT.logs("data.log") == "logs/digits/data.log"


def test_a_stack_has_the_paths_that_the_rules_make() -> None:
    made = configuration(seeds=[7, 8], studies={"rates": STUDY})
    (stack, *_), (of_study, *_) = list(condition_stacks(made, "ant")), list(study_stacks(made, "rates"))
    assert LAYOUT.record(stack) == "results/digits/runs/ant/vanilla/seeds-7-8.safetensors"
    assert LAYOUT.training_log(stack) == "logs/digits/train/ant/vanilla/seeds-7-8.log"
    assert LAYOUT.record(of_study) == f"results/digits/studies/rates/runs/{of_study.name}.safetensors"
    assert LAYOUT.training_log(of_study) == f"logs/digits/studies/rates/{of_study.name}.log"


def test_patterns_hold_wildcards() -> None:
    assert LAYOUT.record_pattern("study") == "results/digits/studies/{study}/runs/{stack}.safetensors"
    assert LAYOUT.training_log_pattern("condition", "benchmark.tsv") == (
        "logs/digits/train/{condition}/{arm}/seeds-{chunk}.benchmark.tsv"
    )
