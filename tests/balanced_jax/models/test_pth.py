"""The reader of `.pth` files: torch.save's formats, refused content, damaged files."""

import collections
import pickle
import zipfile

import chex
import numpy as np
import pytest

from balanced_jax.models._pth import read_pth
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
