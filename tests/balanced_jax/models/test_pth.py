"""The reader of `.pth` files: torch.save's formats, refused content, damaged files."""

import collections
import pickle
import tracemalloc
import zipfile

import chex
import numpy as np
import pytest

from balanced_jax.models._pth import read_pth
from tests.balanced_jax.models.hostile_pth import NUMBERS, hostile_files, write
from tests.balanced_jax.models.pth_files import REBUILD, Call, Global, float_storage, pickled, write_pth


def test_a_pth_file_is_read_without_pytorch(tmp_path):
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(1, np.float32)}
    chex.assert_trees_all_equal(read_pth(write_pth(tmp_path, tensors)), tensors)


def test_a_pickle_that_calls_other_functions_is_refused_and_not_run(tmp_path):
    touched = tmp_path / "touched"
    touch = Call(Global("pathlib", "Path.touch"), Call(Global("pathlib", "Path"), str(touched)))
    with pytest.raises(ValueError, match=r"weights\.pth: .* refers to pathlib\.Path"):
        read_pth(write_pth(tmp_path, {}, evil=touch))
    evaluate = Call(Global("builtins", "eval"), f"open({str(touched)!r}, 'w')")
    with pytest.raises(ValueError, match=r"refers to builtins\.eval"):
        read_pth(write_pth(tmp_path, {}, evil=evaluate))
    assert not touched.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(0, (5,), (1,)), (1, (4,), (1,)), (0, (2,), (-1,)), (-1, (2,), (1,))]
)
def test_a_tensor_that_exceeds_its_storage_is_refused(offset, shape, strides, tmp_path):
    path = tmp_path / "weights.pth"
    tensor = Call(REBUILD, float_storage("0", 4), offset, shape, strides, False, None)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data/0", np.zeros(4, np.float32).tobytes())
        archive.writestr("weights/data.pkl", pickled({"a": tensor}))
    with pytest.raises(ValueError, match="exceeds its storage of 4 numbers"):
        read_pth(path)


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps([1, 2])])
def test_a_file_of_another_format_is_named(content, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pth: is not a state dictionary of PyTorch"):
        read_pth(path)


@pytest.mark.torch
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_a_file_of_torch_save_is_read(zipped, tmp_path):
    import torch  # pyright: ignore[reportMissingImports]

    whole = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    tensors = collections.OrderedDict(
        whole=whole,
        view=whole[:, 1:, ::2],  # shares a storage with `whole`
        permuted=whole.permute(2, 0, 1),
        half=whole.half(),
        bfloat=whole.bfloat16(),
        number=torch.tensor(3),
        parameter=torch.nn.Parameter(whole + 1),
        empty=torch.zeros(0, 3),
    )
    path = tmp_path / "weights.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    read = read_pth(path)
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name].astype(np.float32), tensor.detach().float().numpy())


def read_or_refused(path) -> tuple[dict[str, np.ndarray], str | None]:
    """The tensors of a file, or the message that refuses it."""
    try:
        return read_pth(path), None
    except ValueError as error:
        return {}, str(error)


@pytest.mark.slow
def test_hostile_files_end_in_one_line_and_take_no_more_than_their_length(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    counts: collections.Counter[str] = collections.Counter()
    for what, content in hostile_files(seed=0):
        path = write(tmp_path, content)
        tracemalloc.start()
        tensors, message = read_or_refused(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        counts["read" if message is None else "refused in a line"] += 1
        if message is None:  # without a tensor, or changed where the format has no checksum
            assert not tensors or what.startswith("changed"), what
            assert not what.startswith("changed zip") or (tensors["a"] == NUMBERS).all(), what
        else:
            assert message.startswith(f"{path}: is not a state dictionary of PyTorch: "), what
            assert "\n" not in message, what
            assert len(message) < 500, what
        assert peak < 2**22 + 200 * len(content), what
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]
    with capsys.disabled():
        print(f"\nhostile .pth files: {counts.total()} tried, {dict(counts)}, 0 others")
    assert counts["refused in a line"] >= 80
