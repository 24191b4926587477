import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from base64 import b64decode, b64encode
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bnpipe.core.csv_files import read_table, write_table
from bnpipe.core.errors import InputError
from bnpipe.grid.config import parse_configuration
from tests.pages import CODE, CONFIGURATION, figures_of, make_results, render, render_studies
from tests.report.reader import Reader

REPOSITORY = Path(__file__).resolve().parents[2]
TUTORIAL = "there much faster and ends slightly higher"
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return results with both pages, not to be changed."""
    folder = make_results(tmp_path_factory.mktemp("finished"))
    render(folder)
    render_studies(folder)
    return folder


@pytest.fixture(scope="module")
def page(finished: Path) -> str:
    return (finished / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def made(finished: Path, tmp_path: Path) -> Path:
    """Return results to change."""
    return Path(shutil.copytree(finished, tmp_path / "made"))


def test_methods_name_the_conditions_that_are_not_trained_by_plain_descent(page: str, made: Path) -> None:
    assert "plain gradient descent without momentum or decay, in single precision" in page
    tanh = CONFIGURATION["conditions"]["tanh"]
    own = render(made, {**CONFIGURATION, "conditions": {"tanh": {**tanh, "optimizer": "adam"}}})
    assert "momentum or decay (except in tanh: see the configuration below), in single precision" in own


def test_the_page_is_well_formed_and_self_contained(page: str) -> None:
    read = Reader(page)
    assert read.open == []
    assert len(read.images) == len(figures_of(CONFIGURATION))
    for image in read.images:
        assert str(image["src"]).startswith("data:image/svg+xml")
        assert image["alt"]
        assert (image["width"], image["height"]) == ("684", "410")  # of 360 x 216 points
    assert not [link for link in read.links if "://" in link]
    assert len(set(read.ids)) == len(read.ids)
    assert {link[1:] for link in read.links if link.startswith("#")} <= {*read.ids}
    steps = zip(read.headings, read.headings[1:], strict=False)
    assert read.headings[0] == 1
    assert all(after <= before + 1 for before, after in steps)  # no level is left out


def test_what_is_linked_is_there(finished: Path, page: str) -> None:
    links = {link for link in Reader(page).links if not link.startswith("#")}
    tables = {f"tables/{name}.csv" for name in ("claims", "summary", "comparison", "runs", "accuracy", "origins")}
    assert tables | {"provenance.json", "studies/rates/runs.csv", "figures/tanh/all_seeds.svg"} <= links
    made_elsewhere = {"provenance.json"} | {
        f"tables/{name}.csv" for name in ("evidence", "activations", "histograms", "layers")
    }
    assert all((finished / link).is_file() for link in links - made_elsewhere)


def test_only_the_scripts_of_the_page_may_run_and_nothing_is_fetched(page: str) -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert found
    policy = unescape(found[1])
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe-eval" not in policy
    assert not re.search("https?:|[*]", policy)
    run = [text for kind, text in Reader(page).scripts if kind is None]
    allowed = re.findall("'sha256-([^']+)'", policy)
    run += [
        zlib.decompress(b64decode(text)).decode()
        for kind, text in Reader(page).scripts
        if kind == "application/octet-stream"
    ]
    assert len(run) == len(allowed) == 2  # the page's own, and Vega, which that one unpacks
    assert {b64encode(sha256(text.encode()).digest()).decode() for text in run} == {*allowed}


def test_the_page_says_what_was_measured(page: str) -> None:
    assert "batchnorm: final validation accuracy 94.50% on average" in page
    assert "2 of 2 runs reach 90%, after a median of 60 steps" in page
    assert TUTORIAL in page
    assert "This is not MNIST" not in page
    assert "0.68.1" in page  # numba's version, from the records
    assert "learning_rate: 0.01" in page


def test_every_condition_has_the_command_that_repeats_it(page: str) -> None:
    command = ".venv/bin/snakemake --cores all results/mnist/figures/tanh/all_seeds.svg --forcerun train"
    section = page.split('<section id="condition-tanh">')[1].split("</section>")[0]
    assert f"<code>{command}</code>" in section


def test_of_many_conditions_the_first_have_sections_and_the_page_says_so(made: Path) -> None:
    (first,) = CONFIGURATION["conditions"]
    both = {first: CONFIGURATION["conditions"][first], "more": CONFIGURATION["conditions"][first]}
    page = render(made, {**CONFIGURATION, "conditions": both}, conditions=[first])
    assert "of the first 1 of the 2 conditions" in page
    assert f'id="condition-{first}"' in page
    assert 'id="condition-more"' not in page
    assert "of the first 1" not in render(made)


def test_without_closer_looks_the_page_needs_none_of_their_files_and_says_how_to_have_their_claims(made: Path) -> None:
    for path in (made / "figures/mechanics.svg", made / "tables/mechanics_summary.csv"):
        path.unlink()
    page = render(made, {**CONFIGURATION, "closer_looks": False})
    assert 'href="#inference"' not in page
    assert 'id="start"' not in page
    assert "<code>closer_looks: true</code>" in page


def test_every_figure_and_table_says_its_rows_and_the_code_that_made_it(page: str) -> None:
    shown = page.count("<figure>") + page.count('<table id="table-')
    assert page.count(f'<a href="provenance.json"><code>{CODE[:12]}</code></a>') == shown
    assert "(condition = tanh, seed = 42)" in page
    assert "(state is neither healthy nor unknown)" in page


def test_claims_are_shown_by_group_with_their_counts_and_the_rest_is_named(page: str) -> None:
    assert "<h3>As the tutorial ran it</h3>" in page
    assert 'id="claim-fewer-steps-tanh"' in page
    assert "This is undecided: 0 of 1 seed agrees (at least 1.2 times fewer steps). " in page
    assert re.search(
        r"more claims need the studies.*<li>With tanh, batch normalization copes with bad weights</li>", page, re.DOTALL
    )
    assert "The plan was fixed on 2026-11-25" in page


def test_counts_at_a_glance_are_those_of_the_table(made: Path) -> None:
    claims = pd.concat([read_table(made / "tables/claims.csv")] * 4)
    verdicts = ["supported", "reversed", "too small to matter", "undecided"]
    write_table(claims.assign(n=12, verdict=verdicts), made / "tables/claims.csv")
    page = re.sub(r"<[^>]+>", "", render(made))
    assert "Of 4 claims, on up to 12 counted seeds: 1 supported, 2 refuted (1 reversed, 1 too small to matter)" in page
    assert "), 1 undecided." in page


def test_a_plan_of_ones_own_is_called_so(made: Path) -> None:
    write_table(read_table(made / "tables/claims.csv").assign(plan="d" * 64), made / "tables/claims.csv")
    page = render(made)
    assert "<strong>Your own plan</strong> (<code>dddddddddddd</code>)" in page
    assert "The plan was fixed on" not in page


def test_the_identity_of_scales_is_told_with_its_conditions(page: str) -> None:
    assert "only if gamma and beta keep their own learning rate and epsilon is scaled too" in page


def test_the_autopsy_of_every_unhealthy_run_is_shown(page: str) -> None:
    failures = page.split('<table id="table-failures">')[1].split("</table>")[0]
    assert failures.count("<tr>") == 1 + 2  # header, both runs of vanilla
    assert failures.count(">overflow</td>") == 2


def test_other_data_is_said_and_not_compared_with_the_tutorial(made: Path) -> None:
    page = render(made, dataset="scikit-learn's digits (not MNIST)", is_mnist=False)
    assert "This is not MNIST" in page
    assert TUTORIAL not in page
    assert "Batch normalization on scikit-learn&#39;s digits (not MNIST)" in page


def test_a_condition_that_keeps_its_weights_is_still_the_tutorial_s(made: Path) -> None:
    tanh = {**CONFIGURATION["conditions"]["tanh"], "keep_weights": True}
    assert TUTORIAL in render(made, {**CONFIGURATION, "conditions": {"tanh": tanh}})


def test_other_settings_are_not_compared_with_the_tutorial(made: Path) -> None:
    tanh = {**CONFIGURATION["conditions"]["tanh"], "learning_rate": 0.02}
    assert TUTORIAL not in render(made, {**CONFIGURATION, "conditions": {"tanh": tanh}})


def test_a_condition_or_study_that_is_named_as_a_script_is_refused() -> None:
    tanh = CONFIGURATION["conditions"]["tanh"]
    study = {"about": "a", "condition": tanh, "sweep": {"learning_rate": [0.1]}}
    for configuration in ({"conditions": {EVIL: tanh}}, {"conditions": {"tanh": tanh}, "studies": {EVIL: study}}):
        with pytest.raises(InputError, match="a name of letters") as refused:
            parse_configuration(configuration)
        assert EVIL in str(refused.value)


def test_text_of_the_configuration_and_of_tables_shows_as_text(made: Path) -> None:
    study = {**CONFIGURATION["studies"]["rates"], "about": f'{EVIL} "quoted"'}
    configuration: dict[str, Any] = {**CONFIGURATION, "studies": {"rates": study}}
    for name in ("runs", "accuracy", "summary"):
        table = read_table(made / f"studies/rates/{name}.csv")
        write_table(table.assign(init_std=f"</script>{EVIL}"), made / f"studies/rates/{name}.csv")
    for page in (render(made, configuration, dataset=EVIL), render_studies(made, configuration)):
        assert EVIL not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &#34;quoted&#34;" in page
        assert re.search(r'alt="[^"]*&lt;script&gt;alert\(1\)[^"]*&#34;quoted', page)
        data = [text for kind, text in Reader(page).scripts if kind == "application/json"]
        assert any(f"init std </script>{EVIL}" in json.dumps(json.loads(text)) for text in data)


def test_the_data_of_charts_are_those_of_the_tables(finished: Path, page: str) -> None:
    scripts = Reader(page).scripts
    specs = [json.loads(text) for kind, text in scripts if kind == "application/json"]
    curves, study_map, study_curves = (spec["datasets"]["runs"] for spec in specs)
    accuracy = read_table(finished / "tables/accuracy.csv")
    assert sum(len(run["accuracy"]) for run in curves) == len(accuracy)
    assert len(study_map) == len(study_curves) == len(read_table(finished / "studies/rates/runs.csv"))


def test_the_same_input_gives_the_same_bytes_without_machine_or_time(finished: Path, made: Path) -> None:
    command = f"from tests.pages import *; render(Path({str(made)!r})); render_studies(Path({str(made)!r}))"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", command], cwd=REPOSITORY, env=environment, check=True)
    for name in ("report.html", "studies.html"):
        page = (made / name).read_bytes()
        assert page == (finished / name).read_bytes()
        assert str(made).encode() not in page


def test_a_missing_figure_or_table_is_one_line(made: Path) -> None:
    (made / "figures/overview.svg").unlink()
    with pytest.raises(InputError, match=r"overview.svg: "):
        render(made)
    (made / "tables/runs.csv").unlink()
    with pytest.raises(InputError, match=r"runs.csv: not a table"):
        render(made)
