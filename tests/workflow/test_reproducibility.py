"""The same bytes however the workflow cuts the work into jobs. `tests.test_makefile` changes folder and cores."""

import filecmp

from tests.workplace import Workplace


def test_jobs_of_other_sizes_give_the_same_bytes(workplace: Workplace, finished: Workplace) -> None:
    names = ("tables/accuracy", "tables/summary", "tables/comparison", "studies/precision/accuracy")
    made = [workplace.results / f"{name}.csv" for name in names]
    workplace.configure(chunk_size=3, runs_per_job=2)
    workplace.run(*(str(path.relative_to(workplace.folder)) for path in made))
    for path in made:
        assert filecmp.cmp(path, finished.results / path.relative_to(workplace.results), shallow=False)
