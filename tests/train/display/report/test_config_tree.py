"""The config on the page of a report."""

from train.display.report.config_tree import Node, config_tree


def test_a_partial_is_shown_as_its_function_with_its_arguments():
    partial = {"@partial": {"@function": "a.b:c"}, "args": [1], "keywords": {"k": {"@function": "d:e"}}}
    node = config_tree("loss", partial)
    assert (node.text, node.module) == ("c", "a.b")
    assert [(child.name, child.text) for child in node.children] == [("0", "1"), ("k", "e")]


def test_a_list_of_objects_is_shown_item_by_item():
    node = config_tree("stages", [{"@type": "a:B", "x": 1}, 2])
    assert node == Node("stages", "", children=[Node("0", "B", "a", [Node("x", "1")]), Node("1", "2")])


def test_numbers_are_rounded_in_lists_too():
    assert config_tree("values", [1.0, 65 / 9, 3]) == Node("values", "[1, 7.22222, 3]")
    assert config_tree("crop", [64, 32]) == Node("crop", "[64, 32]")


def test_an_empty_mapping_is_none():
    assert config_tree("options", {}) == Node("options", "none", "", [])


def test_few_plain_children_stand_on_the_line_of_their_node():
    assert config_tree("ramp", {"@type": "a:Ramp", "start": 0.0, "end": 1 / 3}).short
    assert not config_tree("ramp", {"text": 50 * "x"}).short
    assert not config_tree("term", {"loss": {"@function": "a:b"}}).short
    assert not config_tree("options", {}).short
