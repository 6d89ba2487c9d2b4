"""Export: the network of a run as files that need neither this project nor its data.

    model.stablehlo   for JAX, on a CPU, GPU or TPU: any number of images of any size
    model.onnx        for onnxruntime and the like: any number of images of one size
    model.json        what goes in, what comes out, what the classes are called, which run it was

Both take images as files have them and give probabilities. What model.json says stands in the metadata of
model.onnx as well.
"""

import importlib.util
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from rich.console import Console

import balanced_jax
from train import configfile
from train.data.resize import Size
from train.errors import ANOTHER_OUT, UserError, writing
from train.paths import Place
from train.run import directory as run_directory
from train.run.checkpoints import Checkpoints, chosen
from train.training.experiment import Experiment
from train.training.step import State, evaluated, look

Network = Callable[[UInt8[Array, "b h w c"]], Float[Array, "b h w classes"]]
"""Images with values of 0 to 255 in, the probability of each class out."""

PLATFORMS = ("cpu", "cuda", "tpu")
"""What model.stablehlo runs on."""
OPSET = 17
"""Version of ONNX's operators: of 2022, so that old runtimes take the file; nothing newer is needed."""
IR_VERSION = 8
"""Version of ONNX's file format that came with them."""
TOLERANCE = 1e-4
"""How much a probability may differ between model.onnx and the network; networks of tests differ by 1e-5."""


def export(run: Place, *, out: Path, which: str, size: Size | None, onnx: bool, console: Console) -> None:
    """Writes model.stablehlo, model.onnx and model.json.

    Args:
        run: the run directory.
        out: folder of the files, new or empty, so that they are all of one run.
        which: "best" or "latest" checkpoint.
        size: height and width of the images that model.onnx takes; None for those that the run resizes to.
        onnx: whether to write model.onnx.
        console: where a person looks.

    Raises:
        UserError: the run has no checkpoint, there is no size, the folder is not empty or cannot be written,
            a package is missing, or the network cannot be converted.
    """
    config, facts = run_directory.stored(run)
    resized = config.input.size
    check_folder(out)
    if onnx:
        check_packages()
        size = onnx_size(size, resized)
    checkpoints = Checkpoints(run / "checkpoints")
    step = chosen(checkpoints, which, run)
    experiment = Experiment(config, facts)
    network = probabilities(experiment, evaluated(experiment.restore(checkpoints, step)))
    about = contract(experiment)
    decided = run_directory.decided(run, step) or {}
    about |= {name: decided.get(name) for name in ("thresholds", "minimum_areas")}
    about["run"] = {
        "name": run.resolve().name,
        "config": configfile.digest(config),
        "data": facts.fingerprint,
        "checkpoint": which,
        "step": step,
    }

    files = {"model.stablehlo": to_stablehlo(network, facts.channels)}
    console.print(f"model.stablehlo: any number of images of any size, for JAX on {', '.join(PLATFORMS)}")
    if onnx and size is not None:
        files["model.onnx"] = to_onnx(network, (*size, facts.channels), about)
        difference = largest_difference(files["model.onnx"], network, (*size, facts.channels))
        if not difference <= TOLERANCE:
            raise UserError(
                f"model.onnx: its probabilities differ from the network's by up to {difference:.1g}, more "
                f"than {TOLERANCE:.0e}; leave it out with --no-onnx"
            )
        console.print(
            f"model.onnx: any number of images of {size[0]}x{size[1]}, opset {OPSET}; its probabilities are "
            f"the network's within {difference:.0e}"
        )
    files["model.json"] = json.dumps(about, indent=1).encode()
    write(out, files)
    console.print(f"written to {out}", soft_wrap=True)


def check_folder(out: Path) -> None:
    """Refuses a folder that holds anything: files of two runs must not stand side by side.

    Raises:
        UserError: names it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not an empty folder; give another --out, or remove it")


def check_packages() -> None:
    """Refuses to convert without what it takes.

    Raises:
        UserError: says how to install it.
    """
    for name in ("jax2onnx", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"model.onnx: needs {name}; run pip install '.[export]', or leave it out with --no-onnx"
            )


def onnx_size(size: Size | None, resized: Size | None) -> Size:
    """Height and width that model.onnx takes.

    Args:
        size: what the user wants.
        resized: what the run resizes its images to.

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


def probabilities(experiment: Experiment, state: State) -> Network:
    """The trained network from pixels of a file to probabilities.

    It computes in float32 even if the run did not, because onnxruntime has no bfloat16 on a CPU, and the two
    files should agree.
    """
    names = {"dtype": "float32", "remat": False}
    model = experiment.model
    model = model.clone(**{name: value for name, value in names.items() if hasattr(model, name)})
    what = experiment.config.input

    def network(images: UInt8[Array, "b h w c"]) -> Float[Array, "b h w classes"]:
        return jax.nn.softmax(look(state, {"image": images}, model=model, what=what))

    return network


def contract(experiment: Experiment) -> dict[str, Any]:
    """What a user of the files has to know, and which versions made them."""
    facts, what = experiment.facts, experiment.config.input
    resize = what.size and {"height": what.size[0], "width": what.size[1], "method": "Pillow's BILINEAR"}
    return {
        "classes": facts.classes,
        "input": {
            "name": "images",
            "type": "uint8",
            "shape": ["batch", "height", "width", facts.channels],
            "channels": {1: "grey", 3: "red, green, blue"}.get(facts.channels, "as the images of the run"),
            "values": "0 to 255, as image files have them",
            "resize": resize,
        },
        "normalization": {
            "mean": what.mean,
            "deviation": what.deviation,
            "where": "inside the model: (images / 255 - mean) / deviation",
        },
        "output": {
            "name": "probabilities",
            "type": "float32",
            "shape": ["batch", "height", "width", len(facts.classes)],
            "values": "probability of each class; they sum to 1",
        },
        "versions": {"balanced_jax": balanced_jax.__version__, "jax": jax.__version__, "opset": OPSET},
    }


def to_stablehlo(network: Network, channels: int) -> bytes:
    """The network as `jax.export.deserialize` reads it, for any number of images of any size."""
    shape = jax.export.symbolic_shape(f"batch, height, width, {channels}")
    exported = jax.export.export(jax.jit(network), platforms=PLATFORMS)(
        jax.ShapeDtypeStruct(shape, jnp.uint8)
    )
    return bytes(exported.serialize())


def to_onnx(network: Network, shape: tuple[int, int, int], about: dict[str, Any]) -> bytes:
    """The network as an ONNX file for any number of images of one shape.

    Args:
        network: the trained network.
        shape: height, width and channels.
        about: kept in the file's metadata, each value as JSON.

    Raises:
        UserError: the network holds something that has no counterpart in ONNX.
    """
    import jax2onnx
    import onnx

    images = jax.ShapeDtypeStruct(("batch", *shape), jnp.uint8)  # pyright: ignore[reportArgumentType]
    # It complains of shapes inside the graph that it does not know; they are dropped below.
    logging.getLogger("onnx_ir.serde").setLevel(logging.ERROR)
    try:
        model = jax2onnx.to_onnx(
            network, [images], opset=OPSET, input_names=["images"], output_names=["probabilities"]
        )
    except Exception as error:  # of any kind: a user's own network may hold anything
        first = str(error).partition("\n")[0]
        raise UserError(
            f"model.onnx: the network cannot be converted ({type(error).__name__}: {first}); leave it out "
            "with --no-onnx"
        ) from error
    # Shapes inside the graph say nothing new, and those around transposed convolutions are wrong.
    del model.graph.value_info[:]
    model.ir_version = IR_VERSION
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in about.items()})
    return model.SerializeToString()


def largest_difference(file: bytes, network: Network, shape: tuple[int, int, int]) -> float:
    """Between the probabilities that onnxruntime and JAX find on a CPU in two images of noise."""
    import onnxruntime

    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images})
    with jax.default_device(jax.devices("cpu")[0]):
        wanted = jax.jit(network)(jnp.asarray(images))
    return float(np.abs(np.asarray(found) - np.asarray(wanted)).max())


def write(out: Path, files: dict[str, bytes]) -> None:
    """Writes files into a folder.

    Raises:
        UserError: it cannot be written.
    """
    with writing(f"{out}", ANOTHER_OUT):
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_bytes(content)
