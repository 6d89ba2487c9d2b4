"""Which modules the library may import, inside and outside."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import balanced_jax

ROOT = Path(balanced_jax.__file__).parents[1]

# Who may import whom inside the library; private modules at its top serve all but the networks.
ALLOWED = {
    "losses": ("balanced_jax._", "balanced_jax.losses", "balanced_jax.masks"),
    "masks": ("balanced_jax._", "balanced_jax.masks"),
    "metrics": ("balanced_jax._", "balanced_jax.masks.valid"),
    "diagnostics": (
        "balanced_jax._",
        "balanced_jax.diagnostics",
        "balanced_jax.losses",
        "balanced_jax.masks",
    ),
    "models": ("balanced_jax.models",),
    "__init__": tuple(f"balanced_jax.{name}" for name in balanced_jax.__all__),
}
RUNTIME = {"balanced_jax", "flax", "jax", "jaxtyping", "numpy", *sys.stdlib_module_names}
INSIDE_A_FUNCTION = {"safetensors", "scipy"}


def imports(path):
    """Modules that a file imports, by their full names, and whether it does so at its top."""
    tree = ast.parse(path.read_text())
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [start, node.module]))
            # `from balanced_jax import x` imports the module x.
            names = (
                [f"{module}.{alias.name}" for alias in node.names] if module == "balanced_jax" else [module]
            )
        else:
            continue
        for name in names:
            yield name, node in tree.body


LIBRARY = sorted((ROOT / "balanced_jax").rglob("*.py"))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    part = path.relative_to(ROOT / "balanced_jax").parts[0].removesuffix(".py")
    allowed = ("balanced_jax._",) if part.startswith("_") and part != "__init__" else ALLOWED[part]
    if path.name in ("_arguments.py", "_sharding.py"):
        allowed = ()
    for name, at_top in imports(path):
        root = name.partition(".")[0]
        assert root in RUNTIME or (root in INSIDE_A_FUNCTION and not at_top), name
        assert root != "balanced_jax" or name.startswith(allowed), name


def test_importing_the_package_alone_loads_no_flax_and_its_modules_are_attributes():
    program = (
        "import sys, balanced_jax as bj; assert 'flax' not in sys.modules; "
        "assert callable(bj.losses.dice_loss); assert 'flax' not in sys.modules; "
        "assert bj.models.UNet; assert 'flax' in sys.modules; assert 'losses' in dir(bj)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_an_unknown_attribute_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'looses'"):
        balanced_jax.looses  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
