"""The chips that programs are compiled for; none has to be there."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
from jax.experimental import topologies

from tests.benchmarks.compiled.environment import packages

Name = Literal["tpu", "gpu", "cpu"]


@dataclass(frozen=True)
class Target:
    """A kind of chip, with the rates of its data sheet."""

    title: str
    bandwidth: float = 0
    """Bytes per second between the chip and its memory."""
    peak: dict[str, float] | None = None
    """Operations per second in products, by the type of the operands."""
    counted: str = ""
    """How the bytes are counted."""


TARGETS: dict[Name, Target] = {
    # Products of float32 are rounded to bfloat16 unless a precision is asked for.
    "tpu": Target("TPU v5e, 2x2", 819e9, {"bfloat16": 197e12, "float32": 197e12}, "by the compiler"),
    # Products of float32 run as TF32 unless a precision is asked for.
    "gpu": Target("H100", 3.35e12, {"bfloat16": 990e12, "float32": 495e12}, "from the text of the program"),
    "cpu": Target("CPU"),
}


def variables(target: Name) -> dict[str, str]:
    """Return the environment variables of a process that compiles for a target."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "PYTHONPATH")}
    chosen = {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if target == "tpu":
        chosen |= {
            # libtpu would ask the metadata server of the cloud which chip it runs on.
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_ACCELERATOR_TYPE": "v5litepod-4",
            "TPU_WORKER_HOSTNAMES": "localhost",
            "TPU_WORKER_ID": "0",
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        }
    if target == "gpu":
        nvcc = packages() / "nvidia" / "cuda_nvcc"  # in which XLA looks for bin/ptxas and nvvm/libdevice
        # Without a GPU to time kernels on, those of Triton for products find no tiles, or end the compiler.
        untuned = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false"
        chosen["XLA_FLAGS"] = f"--xla_gpu_cuda_data_dir={nvcc} {untuned}"
        chosen["PATH"] = f"{nvcc / 'bin'}:{os.environ['PATH']}"
    return inherited | chosen


def devices(target: Name) -> list[Any]:
    """Return the devices of a target, in a process with its environment variables."""
    if target == "tpu":
        return list(topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2").devices)
    if target == "gpu":
        chip = Path(__file__).with_name("h100.textproto").read_text()
        topology = topologies.get_topology_desc(platform="cuda", target_config=chip, topology="1x1x1")
        return list(topology.devices)
    return jax.devices()
