"""Writes `.pth` files without PyTorch, with any content."""

import collections
import io
import pickle
import zipfile
from typing import Any

import numpy as np


class Global:
    """A function or class, pickled by its name."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """A call, made when the pickle is loaded."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


_PythonPickler: Any = pickle._Pickler  # pyright: ignore[reportAttributeAccessIssue]


class _Pickler(_PythonPickler):
    """Pickles `Global`, `Call` and storages as PyTorch does."""

    def persistent_id(self, obj):
        return obj if isinstance(obj, tuple) and obj[:1] == ("storage",) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


REBUILD = Global("torch._utils", "_rebuild_tensor_v2")


def write_pth(folder, tensors, **more):
    """Write float32 tensors as torch.save does, and `more` entries; return the path."""
    content, path = collections.OrderedDict(), folder / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for i, (name, x) in enumerate(tensors.items()):
            storage = float_storage(str(i), x.size)
            strides = tuple(s // 4 for s in np.ascontiguousarray(x).strides)
            content[name] = Call(REBUILD, storage, 0, x.shape, strides, False, collections.OrderedDict())
            archive.writestr(f"weights/data/{i}", np.ascontiguousarray(x).tobytes())
        archive.writestr("weights/data.pkl", pickled(content | more))
    return path


def float_storage(key, size):
    """A storage of float32 numbers, which stands outside of the pickle."""
    return "storage", Global("torch", "FloatStorage"), key, "cpu", size


def pickled(content) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(content)
    return file.getvalue()
