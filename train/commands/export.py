"""`python -m train export`: the network of a run as files that need neither this project nor its data.

    model.stablehlo   for JAX, on a CPU, GPU or TPU: any number of images of any size
    model.onnx        for onnxruntime and the like: any number of images of one size
    model.json        input, output and classes of both files, and the run they come from
    predict.py        a program that runs model.onnx on images, see `train.commands.exported_predict`

Both take images as files hold them and give probabilities. The metadata of model.onnx hold model.json as
well.
"""

import importlib.util
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

import balanced_jax
from train import configfile, records
from train.commands.command import RunCommand
from train.data.example import Size
from train.errors import ANOTHER_OUT, UserError, writing
from train.inference.ensemble import Ensemble
from train.inference.steps import probability_step
from train.inference.trained import load_trained
from train.run.decision import current_decision, current_rule
from train.run.log import console
from train.training.experiment import Experiment
from train.training.state import State

Network = Callable[[UInt8[Array, "b h w c"]], Float[Array, "b h w classes"]]
"""From images with values of 0 to 255 to the probability of each class."""

_PLATFORMS = ("cpu", "cuda", "tpu")
"""Platforms that model.stablehlo runs on."""
_OPSET = 17
"""Version of ONNX's operators: of 2022, so that old runtimes read the file; nothing newer is needed."""
_IR_VERSION = 8
"""Version of ONNX's file format that came with the opset."""
_PROGRAM = Path(__file__).with_name("exported_predict.py")
"""What becomes predict.py."""
_TOLERANCE = 1e-4
"""Largest difference of a probability between model.onnx and the network; the networks here differ by
1e-5."""


@dataclass(frozen=True, kw_only=True)
class Export(RunCommand):
    """Write the network as model.stablehlo and model.onnx, which run without this project."""

    usage: ClassVar[str] = "RUN_DIR --out DIR [--size HEIGHT WIDTH]"

    out: Path
    """Folder of the files, new or empty."""
    size: Size | None = None
    """Height and width of the images that model.onnx takes, where the run has no `input.size`."""
    onnx: bool = True
    """Write model.onnx, too; it needs `pip install '.[export]'`."""

    def run(self) -> None:
        """Write model.stablehlo and model.json, and model.onnx with predict.py.

        Raises:
            UserError: the run has no checkpoint, there is no size, or one without model.onnx, the folder is
                not empty or cannot be written, a package is missing, or the network cannot be converted.
        """
        experiment, state, step, members = load_trained(self.run_dir, self.checkpoint)
        config, facts = experiment.config, experiment.facts
        _check_folder(self.out)
        size = None
        if self.onnx:
            _check_packages()
            size = _onnx_size(self.size, config.input.size)
        elif self.size is not None:
            raise UserError("size: is that of model.onnx, which --no-onnx leaves out; give one of the two")
        network = probability_network(experiment, state)
        origin = {"members": records.to_json(members)} if members else {"config": configfile.digest(config)}
        rule = current_rule(self.run_dir, step, facts)
        about = _interface(experiment) | {
            "thresholds": rule and rule.thresholds,
            "minimum_areas": rule and rule.minimum_areas,
            "decision": records.to_json(current_decision(self.run_dir, step, facts)),
            "run": {
                "name": self.run_dir.resolve().name,
                **origin,
                "data": facts.fingerprint,
                "checkpoint": self.checkpoint,
                "step": step,
            },
        }
        files = {"model.stablehlo": to_stablehlo(network, facts.channels)}
        console.print(
            f"model.stablehlo: any number of images of any size, for JAX on {', '.join(_PLATFORMS)}"
        )
        if size is not None:
            files["model.onnx"] = to_onnx(network, (*size, facts.channels), about)
            difference = _largest_difference(files["model.onnx"], network, (*size, facts.channels))
            if not difference <= _TOLERANCE:
                raise UserError(
                    f"model.onnx: its probabilities differ from the network's by up to {difference:.1g}, "
                    f"more than {_TOLERANCE:.0e}; leave it out with --no-onnx"
                )
            console.print(
                f"model.onnx: any number of images of {size[0]}x{size[1]}, opset {_OPSET}; its probabilities "
                f"are the network's within {difference:.0e}"
            )
            files["predict.py"] = _PROGRAM.read_bytes()
            console.print("predict.py: runs model.onnx; needs onnxruntime, pillow and numpy")
        files["model.json"] = json.dumps(about, indent=1).encode()
        with writing(f"{self.out}", ANOTHER_OUT):
            self.out.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (self.out / name).write_bytes(content)
        console.print(f"written to {self.out}", soft_wrap=True)


def _check_folder(out: Path) -> None:
    """Refuse a folder that holds anything, because files of two runs must not be mixed.

    Raises:
        UserError: names the folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not an empty folder; give another --out, or remove it")


def _check_packages() -> None:
    """Refuse to write model.onnx without the packages of the extra `[export]`.

    Raises:
        UserError: names the missing package, and how to install it.
    """
    for name in ("jax2onnx", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"model.onnx: needs {name}; run pip install '.[export]', or leave it out with --no-onnx"
            )


def _onnx_size(size: Size | None, resized: Size | None) -> Size:
    """Return the height and width that model.onnx takes.

    Args:
        size: given by the user.
        resized: that the run resizes its images to.

    Raises:
        UserError: there is none, it is below 1, or the two contradict each other.
    """
    if size is None and resized is None:
        raise UserError(
            "size: the run takes images as large as they are, but model.onnx has one size; give --size "
            "HEIGHT WIDTH, or leave it out with --no-onnx"
        )
    if size is not None and min(size) < 1:
        raise UserError(f"size: is {size[0]} {size[1]}, takes at least 1")
    if size is not None and resized is not None and size != resized:
        raise UserError(
            f"size: is {size[0]} {size[1]}, but the run resizes images to {resized[0]} {resized[1]}; leave "
            "it out"
        )
    return resized or size  # pyright: ignore[reportReturnType]


def probability_network(experiment: Experiment, state: State) -> Network:
    """Return the trained network, from the pixels of a file to probabilities.

    The network computes in float32 even if the run did not: onnxruntime has no bfloat16 on a CPU, and both
    files should agree.
    """
    model = _in_float32(experiment.model)

    def network(images: UInt8[Array, "b h w c"]) -> Float[Array, "b h w classes"]:
        return probability_step(state, {"image": images}, model=model, input=experiment.config.input)

    return network


def _in_float32(model: nn.Module) -> nn.Module:
    """Return a network, or an ensemble of networks, that computes in float32."""
    if isinstance(model, Ensemble):
        return model.clone(members=tuple(map(_in_float32, model.members)))
    fields = {"dtype": "float32", "remat": False}
    return model.clone(**{name: value for name, value in fields.items() if hasattr(model, name)})


def _interface(experiment: Experiment) -> dict[str, Any]:
    """Return the input, output and classes of the files, and the versions that made them."""
    facts, config = experiment.facts, experiment.config.input
    resize = config.size and {
        "height": config.size[0],
        "width": config.size[1],
        "method": "Pillow's BILINEAR",
    }
    return {
        "classes": facts.classes,
        "input": {
            "name": "images",
            "type": "uint8",
            "shape": ["batch", "height", "width", facts.channels],
            "channels": {1: "gray", 3: "red, green, blue"}.get(facts.channels, "as the images of the run"),
            "values": "0 to 255, as image files of 8 bits have them",
            "levels": experiment.config.data.decoding.levels,
            "resize": resize,
        },
        "normalization": {
            "mean": config.mean,
            "deviation": config.deviation,
            "where": "inside the model: (images / 255 - mean) / deviation",
        },
        "output": {
            "name": "probabilities",
            "type": "float32",
            "shape": ["batch", "height", "width", len(facts.classes)],
            "values": "probability of each class; they sum to 1",
        },
        "versions": {"balanced_jax": balanced_jax.__version__, "jax": jax.__version__, "opset": _OPSET},
    }


def to_stablehlo(network: Network, channels: int) -> bytes:
    """Return the network as `jax.export.deserialize` reads it, for any number of images of any size."""
    shape = jax.export.symbolic_shape(f"batch, height, width, {channels}")
    exported = jax.export.export(jax.jit(network), platforms=_PLATFORMS)(
        jax.ShapeDtypeStruct(shape, jnp.uint8)
    )
    return bytes(exported.serialize())


def to_onnx(network: Network, shape: tuple[int, int, int], about: dict[str, Any]) -> bytes:
    """Return the network as an ONNX file for any number of images of one shape.

    Args:
        network: the trained network.
        shape: height, width and channels.
        about: stored in the metadata, each value as JSON.

    Raises:
        UserError: the network has an operation that ONNX lacks.
    """
    import jax2onnx
    import onnx

    images = jax.ShapeDtypeStruct(("batch", *shape), jnp.uint8)  # pyright: ignore[reportArgumentType]
    # onnx_ir logs errors about unknown shapes inside the graph, which are dropped below.
    logging.getLogger("onnx_ir.serde").setLevel(logging.ERROR)
    try:
        model = jax2onnx.to_onnx(
            network, [images], opset=_OPSET, input_names=["images"], output_names=["probabilities"]
        )
    except Exception as error:  # jax2onnx raises exceptions of many kinds over a user's own network
        first = str(error).partition("\n")[0]
        raise UserError(
            f"model.onnx: the network cannot be converted ({type(error).__name__}: {first}); leave it out "
            "with --no-onnx"
        ) from error
    # Shapes inside the graph are redundant, and jax2onnx gets those around transposed convolutions wrong.
    del model.graph.value_info[:]
    model.ir_version = _IR_VERSION
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in about.items()})
    return model.SerializeToString()


def _largest_difference(file: bytes, network: Network, shape: tuple[int, int, int]) -> float:
    """Return the largest difference of a probability between onnxruntime and JAX on two images of noise."""
    import onnxruntime

    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, {"images": images})
    with jax.default_device(jax.devices("cpu")[0]):
        expected = jax.jit(network)(jnp.asarray(images))
    return float(np.abs(np.asarray(actual) - np.asarray(expected)).max())
