"""What every test runs under: eight CPU devices, checked shapes, no silent broadcasting."""

import importlib.util
import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

from jaxtyping import install_import_hook

install_import_hook("balanced_jax", "beartype.beartype")

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")

# The search for examples imports every file; these need what the suite does not.
collect_ignore = ["benchmarks"]
if not importlib.util.find_spec("torch"):
    collect_ignore.append("references/torch_networks.py")
