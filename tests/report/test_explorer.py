import json

from bnpipe.report.curves_chart import explore_curves
from bnpipe.report.runs_chart import explore_runs
from tests.report.charts import ARMS, CONDITIONS, accuracy_table, runs_table


def test_nothing_is_fetched() -> None:
    charts = [
        explore_curves("curves", accuracy_table(), CONDITIONS, ARMS),
        explore_runs("map", runs_table(), ["learning_rate", "normalize_logits"]),
    ]
    assert not [chart.name for chart in charts if "://" in json.dumps(chart.spec)]
