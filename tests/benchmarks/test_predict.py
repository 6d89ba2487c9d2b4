"""Peak memory of prediction, as stated in docs/howto/predict.md."""

import subprocess
import sys

import numpy as np
import pytest

from tests.benchmarks.predict import ROOT, Benchmark, measure


@pytest.mark.slow
def test_memory_is_measured_without_that_of_the_process_that_measures():
    ballast = np.ones(2**25)  # 256 MiB
    program = "from tests.benchmarks.memory import largest_resident; {}; print(largest_resident())"
    small, large = (
        int(subprocess.check_output([sys.executable, "-c", program.format(content)], cwd=ROOT))
        for content in ("pass", "b'1' * 2**27")
    )
    assert small < 2**27 < large
    assert ballast.all()


@pytest.mark.slow
def test_a_large_image_takes_no_more_memory_than_stated(tmp_path):
    """The page's 1.5 GiB."""
    assert measure(Benchmark(width=8), tmp_path).mebibytes < 1536
