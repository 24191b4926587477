from pathlib import Path

import numpy as np
import pandas as pd

from bnpipe.analysis.claim_words import INFINITY
from bnpipe.analysis.words import MINUS, TIMES
from bnpipe.core.csv_files import write_table
from bnpipe.report.latex import escaped, make_latex, make_study_latex, tabular
from bnpipe.report.tables import Column, make_table


def test_what_means_something_in_latex_is_escaped() -> None:
    assert escaped(r"5% of a_b & \c ~ {$#}^2") == (
        r"5\% of a\_b \& \textbackslash{}c \textasciitilde{} \{\$\#\}\textasciicircum{}2"
    )
    assert escaped(f"> {MINUS}1.2{TIMES} or {INFINITY}") == r"$>$ $-$1.2$\times$ or $\infty$"


def test_a_table_line_by_line() -> None:
    columns = [
        Column("name", "what_for", str, is_text=True),
        Column("text", "text", str, is_text=True, is_wide=True),
        Column("share", "share", "{:.1%}".format),
    ]
    frame = pd.DataFrame({"name": ["a", "b"], "text": ["x & y", "z"], "share": [0.5, np.nan]})
    assert tabular(make_table("t", frame, columns, "")) == (
        "\\begin{tabular}{lp{0.35\\linewidth}r}\n"
        "\\toprule\n"
        "what\\_for & text & share \\\\\n"
        "\\midrule\n"
        "a & x \\& y & 50.0\\% \\\\\n"
        "b & z &  \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_the_tables_of_the_report_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    expected = Path(__file__).parents[2] / "docs/expected"
    pairs = pd.DataFrame(
        {
            "condition": ["relu", "relu", "tanh"],
            "arm": "batchnorm",
            "seed": [42, 2000, 42],
            "baseline": "vanilla",
            "n": [2, 2, 1],
            "n_diverged": 0,
            "mean_difference": [0.05, 0.05, -0.01],
            "low": 0.04,
            "high": 0.06,
        }
    )
    write_table(pairs, tmp_path / "comparison.csv")
    conditions = ["tanh", "tanh_bad_init", "tanh_bad_init_high_lr", "relu", "relu_bad_init"]
    made = {name: tmp_path / f"{name}.tex" for name in ("summary", "comparison", "claims")}
    make_latex(
        expected / "summary.csv",
        tmp_path / "comparison.csv",
        expected / "claims.csv",
        conditions,
        *made.values(),
    )
    lines = {name: path.read_text(encoding="utf-8").splitlines() for name, path in made.items()}
    assert [line.split(" & ")[0] for line in lines["summary"][4:-2:2]] == [
        name.replace("_", r"\_") for name in conditions
    ]
    assert lines["comparison"][4:-2] == [
        r"tanh & batchnorm & vanilla & 1 & 0 & $-$1.00 points & +4.00 points & +6.00 points \\",
        r"relu & batchnorm & vanilla & 2 & 0 & +5.00 points & +4.00 points & +6.00 points \\",
    ]
    assert lines["claims"][4] == (
        r"With tanh, batch normalization needs fewer steps to 90\% & supported & 12 & 12 & 0 & "
        r"1.42$\times$ [1.35, 1.65] & $>$ 1.20$\times$ \\"
    )
    for name, rows in lines.items():  # every row has a cell for each column
        assert {line.count(" & ") for line in rows[4:-2]} == {rows[2].count(" & ")}, name


def test_the_summary_of_a_study(tmp_path: Path) -> None:
    columns = [
        "hidden_sizes",
        "arm",
        "n",
        "diverged",
        "mean",
        "low",
        "high",
        "healthy",
        "saturated",
        "dead",
        "overflow",
    ]
    row = ["9 x 100", "vanilla", 5, 0, 0.9, 0.8, 0.95, 5, 0, 0, 0]
    frame = pd.DataFrame([[*row, np.nan, np.nan]], columns=[*columns, "first_bad_step", "first_bad_layer"])
    write_table(frame.assign(unknown=0), tmp_path / "summary.csv")
    make_study_latex(tmp_path / "summary.csv", ["hidden_sizes"], tmp_path / "width.tex")
    text = (tmp_path / "width.tex").read_text(encoding="utf-8")
    assert "\nhidden sizes & arm & runs & diverged & mean & 95\\% from & to & " in text
    assert "\n9 x 100 & vanilla & 5 & 0 & 90.00\\% & 80.00\\% & 95.00\\% & " in text
