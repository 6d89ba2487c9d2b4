"""The config of a run as a tree of names and values for the page."""

from collections.abc import Sequence
from typing import Any, NamedTuple

_SHORT = 50
"""Letters below which the children of a node stand on its line."""


class Node(NamedTuple):
    """One entry of the config."""

    name: str
    text: str
    module: str = ""
    """Where a function or class is imported from."""
    children: Sequence["Node"] = ()

    @property
    def short(self) -> bool:
        """Whether all children stand on the line of the node."""
        letters = sum(len(node.name) + len(node.text) for node in self.children)
        return 0 < letters < _SHORT and not any(node.module or node.children for node in self.children)


def config_tree(name: str, value: Any) -> Node:
    """Return the tree of a config, or of a value in a config, in the JSON form of `train.configfile`."""
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return Node(name, "", children=[config_tree(str(i), item) for i, item in enumerate(value)])
    if not isinstance(value, dict):
        return Node(name, _text(value))
    if "@partial" in value:
        function = config_tree(name, value["@partial"])
        arguments = dict(enumerate(value["args"])) | value["keywords"]
        return function._replace(children=[config_tree(str(key), item) for key, item in arguments.items()])
    module, _, text = value.get("@type", value.get("@function", "")).rpartition(":")
    children = [config_tree(key, item) for key, item in value.items() if not key.startswith("@")]
    return Node(name, text if text or children else "none", module, children)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
