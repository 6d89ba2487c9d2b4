"""Reading PyTorch's `.pth` files without PyTorch, and without running code from the file.

A `.pth` file is a pickle, which may call any function; `_tensor_pickle` calls only those that build tensors.
The arrays are views of what is read, so that a file takes no more memory than a small multiple of its length.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from balanced_jax.models._tensor_pickle import Storage, View, load

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First number of a file from PyTorch up to 1.5, such as torchvision's VGG16."""


def read_pth(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dictionary by name; ValueError for any other file."""
    try:
        with path.open("rb") as file:
            return _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(path.read_bytes())
    except (
        zipfile.BadZipFile,
        struct.error,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RuntimeError,  # of zipfile, for an encrypted file
    ) as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{path}: is not a state dictionary of PyTorch: {problem:.200}") from error


def _read_zip(file: io.BufferedIOBase) -> dict[str, np.ndarray]:
    length = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(x.compress_type != zipfile.ZIP_STORED or x.compress_size != x.file_size for x in members):
            raise ValueError("it is compressed, which torch.save never does")
        if sum(x.file_size for x in members) > length:
            raise ValueError(f"its members claim more than the {length} bytes of the file")
        (index,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = index.removesuffix("data.pkl")
        big = folder + "byteorder" in archive.namelist() and archive.read(folder + "byteorder") == b"big"
        storages: dict[str, Storage] = {}
        views = _views(load(io.BytesIO(archive.read(index)), storages))
        data = {}
        for key in {view.storage.key for view in views.values()}:
            numbers = np.frombuffer(archive.read(f"{folder}data/{key}"), storages[key].dtype)
            data[key] = numbers.byteswap() if big else numbers
        return {name: view.array(data[view.storage.key]) for name, view in views.items()}


def _read_legacy(content: bytes) -> dict[str, np.ndarray]:
    file, storages = io.BytesIO(content), {}
    if load(file, {}) != _LEGACY_MAGIC:
        raise ValueError("the first number is not that of a .pth file")
    _version, system = load(file, {}), load(file, {})
    if not system["little_endian"]:
        raise ValueError("its byte order is big-endian")
    views = _views(load(file, storages))
    data = {}
    for key in load(file, {}):
        storage = storages[key]
        (size,) = np.frombuffer(file.read(8), "<i8").tolist()
        if size < 0:  # all of the file, to NumPy
            raise ValueError(f"a storage of {size} numbers")
        data[key] = np.frombuffer(content, storage.dtype, size, file.tell())
        file.seek(data[key].nbytes, io.SEEK_CUR)
    if missing := {view.storage.key for view in views.values()} - data.keys():
        raise ValueError(f"it lacks the numbers of storage {missing.pop():.80}")
    return {name: view.array(data[view.storage.key]) for name, view in views.items()}


def _views(content: Any) -> dict[str, View]:
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds an object of type {type(content).__name__}")
    return {name: x for name, x in content.items() if isinstance(name, str) and isinstance(x, View)}
