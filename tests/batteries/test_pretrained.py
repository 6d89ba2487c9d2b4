"""Sixty `.pth` files made to harm, through `--pretrained`: none of them fits the network, each is refused."""

import random

import pytest

from tests.balanced_jax.models.hostile_pth import hostile_files
from tests.batteries.answers import answer, check_as_processes
from tests.tiny import TINY

FILES = 60


@pytest.mark.slow
def test_hostile_pth_files_are_refused_in_a_line(prepared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    chance, refused, wrong = random.Random(0), [], []
    for number, (what, content) in enumerate(chance.sample(list(hostile_files(seed=0)), FILES)):
        file = tmp_path / f"{number}.pth"
        file.write_bytes(content)
        line = ["fit", str(TINY), "--data-dir", str(prepared), "--run-dir", "run", "--pretrained", file.name]
        answered = answer(line, capsys)
        if answered.kind == "refused in a line" and f"pretrained: {file.name}: " in answered.error:
            refused.append((line, answered))
        else:
            wrong.append((what, *answered))
    with capsys.disabled():
        print(f"\n.pth files made to harm, by --pretrained: {FILES} tried, {len(refused)} refused in a line")
    assert not wrong, "\n".join(map(str, wrong))
    assert not (tmp_path / "called").exists()
    assert not (tmp_path / "run").exists()
    check_as_processes(refused, tmp_path, chance)
