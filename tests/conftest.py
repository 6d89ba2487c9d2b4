"""The conditions of every test: eight CPU devices, checked shapes, no silent broadcasting."""

import importlib.util
import os
import tempfile
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers, and processes that tests start, inherit it
    _compiled = tempfile.TemporaryDirectory(prefix="compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
    # Programs that take longer than this to compile are shared: those of training. A file for each other
    # program would cost more than it saves.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "2"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

from jaxtyping import install_import_hook

install_import_hook("balanced_jax", "beartype.beartype")

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")

# pytest imports every file in search of doctests; these need packages that the suite does not.
_benchmarks = (Path(__file__).parent / "benchmarks").glob("*.py")
collect_ignore = [str(path) for path in _benchmarks if not path.name.startswith("test_")]
if not importlib.util.find_spec("torch"):
    collect_ignore.append("references/torch_networks.py")


@pytest.fixture(autouse=True, scope="module")
def few_memory_maps():
    """Forget compiled programs when there are many: each takes some seven memory maps.

    Linux allows a process 65,530, beyond which XLA aborts it.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 40_000:
        jax.clear_caches()
