"""The secrets in a mirror's URL appear nowhere when the workflow runs as a user runs it."""

import gzip
import hashlib
from pathlib import Path

from tests.idx_files import small_payloads
from tests.mirrors import Mirror, for_ada
from tests.workplace import Workplace


def test_no_password_is_printed_or_kept(tmp_path: Path) -> None:
    payloads = small_payloads(train=90)
    workplace = Workplace.create(tmp_path)
    with (tmp_path / "bnpipe/data/checksums.py").open("a", encoding="utf-8") as file:  # to pass for MNIST
        sums = {name: f"sha256:{hashlib.sha256(payload).hexdigest()}" for name, payload in payloads.items()}
        file.write(f"\nPAYLOADS['mnist'] = {sums}\n")
    workplace.configure(dataset="mnist", validation_images=10)
    with Mirror({f"{name}.gz": gzip.compress(payload) for name, payload in payloads.items()}, for_ada) as mirror:
        address = mirror.url.removeprefix("http://")
        mirrors = [f"http://ada:wr0ng@{address}", f"http://ada:p%40ss%2Fword@{address}?token=t0ken"]
        done = workplace.snakemake("--config", f"mirrors={mirrors}".replace("'", '"'), "batch_size=20", "--", "data")
    assert done.returncode == 0, done.stderr
    texts = {"output": done.stdout + done.stderr}
    texts |= {str(path): path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()}
    assert f'mirrors=["http://***@{address}","http://***@{address}?token=***"]'.replace(",", ", ") in texts["output"]
    assert f"http://***@{address}/train-images-idx3-ubyte.gz: HTTP Error 401" in texts["output"]
    assert "downloaded http://***@" in texts[str(tmp_path / "logs/mnist/data.log")]
    for place, text in texts.items():
        assert not any(secret in text for secret in ("wr0ng", "p%40ss", "p@ss", "t0ken")), place
