"""The comparisons of the paper at a small size: the ends of its grids, and the page of each."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from etils import epath

from balanced_jax.models import UNet
from train.commands.compare import Compare
from train.comparison.definition import cells
from train.config import Input
from train.configfile import ConfigFile
from train.data.sets import Generated

ROOT = Path(__file__).parents[4]
PAPER = ConfigFile(ROOT / "configs/paper.py", None).named("comparison")


def ends(levels):
    """The first and the last level of an axis."""
    if not isinstance(levels, Mapping):
        return (levels[0], levels[-1])
    names = list(levels)
    return {name: levels[name] for name in {*names[:1], *names[-1:]}}


def test_the_ends_of_the_papers_grids_are_cross_entropy_and_no_class_weights():
    for table in ("table_4", "table_6"):
        [*_, cell] = [c for c in cells(PAPER[table]) if c.levels["beta"] == "0.0"]
        term = cell.config.objective["balanced"]
        assert cell.levels["delta"] == "0.5"
        assert (term.options["eps_inf"], term.options["eps_sup"]) == (0, 1)
        assert term.weights_options == {"beta": 0, "window": 7}
        assert len(PAPER[table].published) == 20


def small(comparison):
    """The comparison on made images, with the ends of its axes but for the objectives."""
    return dataclasses.replace(
        comparison,
        base=dataclasses.replace(
            comparison.base,
            data=Generated(train=16, validation=4, test=8, size=32, seed=1),  # shows every class
            model=UNet(width=2),
            input=Input(crop=(32, 32)),
            batch_size=8,
            epochs=2,
        ),
        models=ends(comparison.models),
        vary={axis: ends(levels) for axis, levels in comparison.vary.items()},
    )


def run(name, comparison, out, prepared):
    """Run a comparison; return its record and its page."""
    Compare(
        config=comparison.base,
        config_file=ConfigFile(ROOT / "configs/paper.py", name),
        comparison=comparison,
        data_dir=prepared,
        out=epath.Path(out),
    ).run()
    record = json.loads((out / "comparison.json").read_text())
    page = (out / "comparison.html").read_text()
    assert {cell["state"] for cell in record["cells"]} == {"done"}
    assert all(row["name"] in page for row in record["rows"])
    return record, page


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_a_comparison_of_the_paper_is_trained(name, tmp_path, prepared):
    comparison = small(PAPER[name])
    networks = {"U-Net": UNet()} if comparison.models else {}  # the other networks compile for minutes
    comparison = dataclasses.replace(comparison, objectives=ends(comparison.objectives), models=networks)
    record, page = run(name, comparison, tmp_path, prepared)
    assert len(record["cells"]) == len(cells(comparison))
    assert page.count("data:image/png") >= 2 or not comparison.objectives  # images under two objectives
    for cell in record["cells"]:
        assert cell["seconds"] > 0
        assert (tmp_path / cell["name"] / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_a_comparison_of_the_paper_reaches_its_page(name, trained, tmp_path, prepared):
    names, _ = trained
    comparison = small(PAPER[name])
    record, _ = run(name, comparison, tmp_path, prepared)
    assert names == [cell.name for cell in cells(comparison)]
    published = {row["name"]: row["published"] for row in record["rows"] if row["published"] is not None}
    assert published.items() <= comparison.published.items()
    assert len(published) == (len(names) if comparison.published else 0)
