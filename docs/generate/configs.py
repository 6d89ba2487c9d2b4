"""Every field of a config, of the networks and of the data sets."""

import balanced_jax.models
import train.data.sets
from docs.generate import kinds
from docs.generate.fields import Field, documentation, fields_of
from docs.generate.tables import code, table
from train import config
from train.comparison.definition import Comparison

SECTIONS: dict[type, str] = {
    config.Config: "",
    config.Term: "objective.NAME.",
    config.Ramp: "objective.NAME.options.OPTION.",
    config.ImageRatio: "",
    config.PixelRatio: "",
    config.PixelShare: "",
    config.Input: "input.",
    config.Sampling: "sampling.",
    config.Augmentation: "augmentation.",
    config.Adam: "optimizer.",
    config.ExponentialDecay: "optimizer.learning_rate.",
    config.CosineDecay: "optimizer.learning_rate.",
    Comparison: "",
}
"""The dataclasses of a config, each with what stands before its fields in a config."""

_SET_BY_TRAINING = ("num_classes", "axis_name")


def page() -> str:
    """Return the sections of all dataclasses of a config."""
    return "\n".join(section(kind, path) for kind, path in SECTIONS.items())


def networks_page() -> str:
    """Return the fields that all networks have, and for each network its own."""
    networks = [getattr(balanced_jax.models, name) for name in balanced_jax.models.__all__]
    fields = {kind: fields_of(kind) for kind in networks if isinstance(kind, type)}
    common = set.intersection(*({field.name for field in each} for each in fields.values()))
    first = next(iter(fields.values()))
    shared = [field for field in first if field.name in common and field.name not in _SET_BY_TRAINING]
    text = f"### All networks\n\n{_table(shared, 'model.')}\n"
    for kind, each in fields.items():
        own = [field for field in each if field.name not in common or _overrides(field, shared)]
        text += f"### {kind.__name__}\n\n{documentation(kind)}\n\n"
        text += _table(own, "model.") + "\n" if own else ""
    return text


def data_sets_page() -> str:
    """Return the section of each data set."""
    return "\n".join(section(getattr(train.data.sets, name), "data.") for name in train.data.sets.__all__)


def section(kind: type, path: str) -> str:
    """Return a heading, what a dataclass is, and the table of its fields."""
    fields = fields_of(kind)
    return f"### {kind.__name__}\n\n{documentation(kind)}\n\n{_table(fields, path) if fields else ''}"


def _overrides(field: Field, shared: list[Field]) -> bool:
    """Return whether a network takes other values of a field that all networks have."""
    return any(field.name == other.name and field.hint != other.hint for other in shared)


def _table(fields: list[Field], path: str) -> str:
    """Return a table of fields, below the flag that sets one of them."""
    flag = f"Flags: `--{path.replace('_', '-')}FIELD`.\n\n" if path else ""
    return flag + table(
        ("field", "meaning", "type", "default"),
        [
            (code(field.name), field.meaning, code(kinds.python(field.hint)), code(field.default))
            for field in fields
        ],
    )
