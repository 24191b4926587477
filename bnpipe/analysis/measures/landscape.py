"""How a step changes what the next one sees: gradients, inputs of layers, and the loss along the gradient.

In each table, `condition` is the nonlinearity, and both arms train at their own best learning rate. Tables, besides
`seed`:

gradient_shift  condition, arm, step, layer, relative_change: of a layer's gradient when the layers below it are updated
input_shift     condition, arm, step, layer, distance: Wasserstein-1 distance between a layer's inputs at steps t and
                t + 60, in standard deviations
smoothness      condition, arm, step, gradient_change: the largest ||g(x) - g(x + s)|| over steps s along the gradient

Averages are geometric, over all layers and steps. A value that is not known makes the average unknown.
"""

import pandas as pd

from bnpipe.analysis.measures.sources import Sources, lead, logarithms, measured, strict_means

COLUMNS = {"gradient_shift": "relative_change", "input_shift": "distance", "smoothness": "gradient_change"}


def less_change(sources: Sources, table: str, activation: str) -> pd.DataFrame:
    """Take the log ratio of the geometric means of a table's quantity (see COLUMNS), vanilla over batchnorm."""
    column = COLUMNS[table]
    rows = sources.rows(table, column, condition=activation)
    logs = rows.assign(**{column: logarithms(rows[column].astype(float))})
    return measured(-lead(strict_means(logs, column)))
