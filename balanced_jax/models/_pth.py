"""Reading PyTorch's `.pth` files without PyTorch, and without running code from the file.

A `.pth` file is a pickle, which may call any function. The unpickler here calls only those that build
tensors, and refuses a file that asks for another.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

_STORAGES = {
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": jnp.bfloat16,
    "DoubleStorage": "f8",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First number of a file from PyTorch up to 1.5, such as torchvision's VGG16."""


class _Storage(NamedTuple):
    """Flat array, stored outside of the pickle."""

    key: str
    dtype: np.dtype
    size: int


class _View(NamedTuple):
    """Tensor as a strided view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, data: np.ndarray) -> np.ndarray:
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        in_bounds = min(self.offset, *self.shape, *self.strides, 0) >= 0 and last < len(data)
        if not in_bounds and 0 not in self.shape:
            raise pickle.UnpicklingError(f"a tensor {self.shape} exceeds its storage of {len(data)} numbers")
        strides = [step * data.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides).copy()


def read_pth(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dictionary by name; ValueError for any other file."""
    try:
        with path.open("rb") as file:
            read = _read_zip if zipfile.is_zipfile(file) else _read_legacy
            file.seek(0)
            return read(file)
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"{path}: is not a state dictionary of PyTorch: {error}") from error


def _read_zip(file: io.BufferedIOBase) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        (index,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = index.removesuffix("data.pkl")
        big = folder + "byteorder" in archive.namelist() and archive.read(folder + "byteorder") == b"big"
        views = _views(_Unpickler(io.BytesIO(archive.read(index))).load())

        def data(storage: _Storage) -> np.ndarray:
            numbers = np.frombuffer(archive.read(f"{folder}data/{storage.key}"), storage.dtype)
            return numbers.byteswap() if big else numbers

        return {name: view.array(data(view.storage)) for name, view in views.items()}


def _read_legacy(file: io.BufferedIOBase) -> dict[str, np.ndarray]:
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise pickle.UnpicklingError("the first number is not that of a .pth file")
    _version, system = _Unpickler(file).load(), _Unpickler(file).load()
    if not system["little_endian"]:
        raise pickle.UnpicklingError("its byte order is big-endian")
    unpickler = _Unpickler(file)
    views = _views(unpickler.load())
    data = {}
    for key in _Unpickler(file).load():
        storage = unpickler.storages[key]
        (size,) = np.frombuffer(file.read(8), "<i8")
        data[key] = np.frombuffer(file.read(int(size) * storage.dtype.itemsize), storage.dtype)
    return {name: view.array(data[view.storage.key]) for name, view in views.items()}


def _views(content: Any) -> dict[str, _View]:
    if not isinstance(content, Mapping):
        raise pickle.UnpicklingError(f"it holds an object of type {type(content).__name__}")
    return {name: view for name, view in content.items() if isinstance(view, _View)}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BufferedIOBase):
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
            **{("torch", storage): storage for storage in _STORAGES},
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no tensor needs")
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, size = pid[:5]
        storage = _Storage(key, np.dtype(_STORAGES[kind]), size)
        return self.storages.setdefault(key, storage)


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> _View:
    return _View(storage, offset, shape, strides)


def _rebuild_parameter(view: _View, *_: Any) -> _View:
    return view
