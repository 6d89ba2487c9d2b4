"""The part of the pickle format that tensors of PyTorch need, read without `pickle`.

`pickle` takes memory, or the whole stack, as a file asks: one operation of five bytes makes it reserve 4 GB.
Here what a file takes grows with its length, and nothing is called but the functions of `_KNOWN`.
"""

import io
import pickletools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

_STORAGES: dict[str, Any] = {
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


_LARGEST_RANK = 64
"""Axes of an array of NumPy."""
_MOST_ARGUMENTS = 8
"""Arguments of the functions that build tensors, with room for a later version."""
_CONSTANTS = [
    [kind]
    for kind in (
        pickletools.pyint,
        pickletools.pylong,
        pickletools.pyinteger_or_bool,
        pickletools.pyfloat,
        pickletools.pyunicode,
        pickletools.pybytes,
        pickletools.pybytes_or_str,
    )
]
"""What operations with a number or a text push."""


class Storage(NamedTuple):
    """Flat array, stored outside of the pickle."""

    key: str
    dtype: np.dtype


class View(NamedTuple):
    """Tensor as a strided view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, data: np.ndarray) -> np.ndarray:
        """Return the tensor, a view of the numbers of its storage; ValueError where they do not suffice."""
        if len(self.shape) > _LARGEST_RANK:
            raise ValueError(f"a tensor has {len(self.shape)} axes")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        in_bounds = min(self.offset, *self.shape, *self.strides, 0) >= 0 and last < len(data)
        if not in_bounds and 0 not in self.shape:
            raise ValueError(f"a tensor {self.shape} exceeds its storage of {len(data)} numbers")
        strides = [step * data.itemsize for step in self.strides]
        array = np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides)
        if array.size > len(data) or (array.size > 1 and any(map(_repeats, self.shape, self.strides))):
            raise ValueError(
                f"a tensor {self.shape} of strides {self.strides} repeats numbers of its storage"
            )
        return array


def load(file: io.BytesIO, storages: dict[str, Storage]) -> Any:
    """Return the object of the pickle at the position of a file, which is then behind the pickle.

    Entries of dictionaries whose keys are neither text nor whole numbers are left out.

    Args:
        file: in memory, so that a length written in it takes no more memory than the file has.
        storages: by key; those of the pickle are added.

    Raises:
        ValueError: the pickle is cut off, or holds what no tensor needs.
        Exception: of several kinds, where operations do not fit together.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    length, copied = file.getbuffer().nbytes, 0

    def pop(count: int) -> list[Any]:
        if len(stack) < count:
            raise ValueError("an operation lacks its operands")
        taken = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return taken

    operations: Any = pickletools.genops(file)
    for operation, argument, _ in operations:
        match operation.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                marks.append(len(stack))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(operation.name == "NEWTRUE")
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(pop(int(operation.name[-1]))))
            case "TUPLE":
                stack.append(tuple(pop(len(stack) - marks.pop())))
            case "LIST":
                stack.append(pop(len(stack) - marks.pop()))
            case "DICT":
                stack.append(_dictionary(_pairs(pop(len(stack) - marks.pop()))))
            case "APPEND" | "APPENDS":
                items = pop(1 if operation.name == "APPEND" else len(stack) - marks.pop())
                stack[-1].extend(items)
            case "SETITEM" | "SETITEMS":
                items = pop(2 if operation.name == "SETITEM" else len(stack) - marks.pop())
                stack[-1].update(_dictionary(_pairs(items)))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_known(argument))
            case "STACK_GLOBAL":
                stack.append(_known(" ".join(pop(2))))
            case "BINPERSID":
                stack.append(_storage(pop(1)[0], storages))
            case "REDUCE":
                function, arguments = pop(2)
                copied += sum(len(x) for x in arguments[:_MOST_ARGUMENTS] if isinstance(x, list))
                if len(arguments) > _MOST_ARGUMENTS or copied > length:
                    raise ValueError("a call has more arguments than tensors need")
                stack.append(function(*arguments))
            case "BUILD":  # attributes, such as the versions of PyTorch's modules
                pop(1)
            case _ if argument is not None and operation.stack_after in _CONSTANTS:
                stack.append(argument)
            case name:
                raise ValueError(f"it uses the operation {name}, which no tensor needs")
    (content,) = stack
    return content


def _known(address: str) -> Any:
    """Return the function or the name of a storage at an address, "module name"."""
    if address not in _KNOWN:
        raise ValueError(f"it refers to {'.'.join(address.split(' '))[:80]}, which no tensor needs")
    return _KNOWN[address]


def _storage(identity: Any, storages: dict[str, Storage]) -> Storage:
    kind, key = identity[1:3]
    if not (isinstance(kind, str) and isinstance(key, str)):
        raise ValueError("a storage has no name")
    return storages.setdefault(key, Storage(key, np.dtype(_STORAGES[kind])))


def _pairs(items: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


def _dictionary(pairs: Iterable[tuple[Any, Any]] = ()) -> dict[str | int, Any]:
    # The hash of tuples within tuples a million times would need more than the stack.
    return {key: value for key, value in pairs if isinstance(key, str | int)}


def _rebuild_tensor(storage: Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> View:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor has no storage")
    return View(storage, offset, shape, strides)


def _rebuild_parameter(view: View, *_: Any) -> View:
    return view


def _repeats(size: int, stride: int) -> bool:
    return size > 1 and stride == 0


_KNOWN: dict[str, Callable | str] = {
    "collections OrderedDict": _dictionary,
    "torch._utils _rebuild_tensor": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils _rebuild_parameter": _rebuild_parameter,
    **{f"torch {storage}": storage for storage in _STORAGES},
}
"""What a pickle may refer to, by its address."""
