from pathlib import Path

import pandas as pd
import pytest

from bnpipe.analysis import equilibrium, optimizers
from bnpipe.analysis.equilibrium import equilibrium_table
from bnpipe.analysis.optimizers import ratios_table, seeds_table
from bnpipe.core.csv_files import read_table, write_table
from tests.analysis.test_equilibrium import turns
from tests.analysis.test_optimizers import trained, trials
from tests.pages import CONFIGURATION, SVG, make_results, render_studies
from tests.report.reader import Reader


@pytest.fixture
def page(tmp_path: Path) -> str:
    return render_studies(make_results(tmp_path))


def test_the_page_on_studies_shows_each_of_them(page: str) -> None:
    assert Reader(page).open == []
    assert len(Reader(page).images) == 2  # rates, paper
    for text in (
        "Which learning rate?",
        "Does the paper&#39;s own experiment come out",
        "After 1,000 steps vanilla is at 80.0% and batchnorm at 90.0%, on average over 1 seed.",
        "batchnorm first reaches vanilla&#39;s final accuracy after 500 steps.",
        "percentile of the input of one sigmoid",
        ">he</td>",
    ):
        assert text in page


def test_an_experiment_with_an_answer_gives_it_from_its_table(tmp_path: Path) -> None:
    folder = make_results(tmp_path)
    tables = {
        "optimizers": (ratios_table(seeds_table(trained()), trials()), "ratios", optimizers.answer),
        "equilibrium": (equilibrium_table(turns()), "equilibrium", equilibrium.answer),
    }
    for name, (table, file, _) in tables.items():
        write_table(table, folder / f"studies/{name}/{file}.csv")
        (folder / f"figures/studies/{name}.svg").write_text(SVG)
    page = render_studies(folder, experiments=["optimizers", "equilibrium", "paper"])
    for name, (_, file, answer) in tables.items():
        assert f"<li>{answer(read_table(folder / f'studies/{name}/{file}.csv'))}</li>" in page
    assert page.count("<li>With") == 2


def test_a_study_that_has_an_answer_says_it(tmp_path: Path) -> None:
    (rates,) = CONFIGURATION["studies"].values()
    configuration = {**CONFIGURATION, "studies": {"convolutional": rates}}
    results = make_results(tmp_path, configuration)
    answer = {"statement": "It is faster", "carries_over": "yes", "n": 3}
    write_table(pd.DataFrame([answer]), results / "studies/convolutional/carry_over.csv")
    (results / "figures/studies/rates.svg").rename(results / "figures/studies/convolutional.svg")
    page = render_studies(results, configuration)
    assert "a count, not a verdict. These carry over on every seed: “It is faster”.</li>" in page
