"""Writes `.pth` files that ask for memory, time or a call, or that are damaged in some way."""

import io
import random
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.balanced_jax.models.pth_files import REBUILD, Call, Global, float_storage, pickled

MAGIC = 0x1950A86A20F9469CFC6C
NUMBERS = np.arange(16, dtype=np.float32).reshape(4, 4)
"""The tensor of the files that are changed at random."""


def zipped(index: bytes, data: bytes = bytes(64), method: int = zipfile.ZIP_STORED) -> bytes:
    """A file of today's format with a storage "0"."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("weights/data/0", data)
        archive.writestr("weights/data.pkl", index)
    return file.getvalue()


def legacy(index: bytes, keys: object = ("0",), data: bytes = struct.pack("<q", 16) + bytes(64)) -> bytes:
    """A file of the format before PyTorch 1.6."""
    head = [MAGIC, 1001, {"little_endian": True}]
    return b"".join(map(pickled, head)) + index + pickled(list(keys)) + data  # pyright: ignore


def tensor(shape, strides, offset=0, size=16, key="0"):
    return Call(REBUILD, float_storage(key, size), offset, shape, strides, False, None)


def pickles() -> dict[str, bytes]:
    """Pickles that no state dictionary is, by what they do."""
    end = pickled({})[2:]
    nested = b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s."
    text = b"\x80\x02}X\x01\x00\x00\x00a"
    pairs = b"\x80\x02ccollections\nOrderedDict\nq\x00](" + b"K\x01K\x02\x86" * 2000 + b"eq\x01"
    calls = {
        f"a call of {module}.{name}": pickled({"a": Call(Global(module, name), *arguments)})
        for module, name, *arguments in (
            ("os", "system", "touch called"),
            ("builtins", "eval", "open('called', 'w')"),
            ("builtins", "exec", "open('called', 'w')"),
            ("subprocess", "check_output", ("touch", "called")),
            ("pathlib", "Path.touch", "called"),
            ("numpy", "load", "called"),
            ("torch", "load", "called"),
            ("torch._utils", "_rebuild_qtensor", 1),
            ("collections", "OrderedDict.fromkeys", (1,)),
            ("collections", "OrderedDict", 1, 2, 3, 4, 5, 6, 7, 8, 9),
        )
    }
    return calls | {
        "a number": pickled(3),
        "a list": pickled([1]),
        "nothing": b"",
        "no end": pickled({"a": 1})[:-1],
        "no operands": b"\x80\x02s.",
        "no mark": b"\x80\x02}(1u.",
        "a memo of 4 GB": b"\x80\x02}r" + struct.pack("<I", 2**28) + end,
        "a memo of 2**31 - 1": b"\x80\x02}r" + struct.pack("<I", 2**31 - 1) + end,
        "a memo of a long number": b"\x80\x02}p" + b"9" * 4000 + b"\n" + end,
        "a text of 4 GB": b"\x80\x02}X" + struct.pack("<I", 2**32 - 1) + b"a",
        "a text of 2**62": b"\x80\x04}\x8d" + struct.pack("<Q", 2**62) + b"a",
        "bytes of 2**62": b"\x80\x04}\x8e" + struct.pack("<Q", 2**62) + b"a",
        "a byte array of 2**62": b"\x80\x05}\x96" + struct.pack("<Q", 2**62) + b"a",
        "a frame of 2**62": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"}.",
        "a number of 4 GB": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"a.",
        "a number of many digits": b"L" + b"9" * 100_000 + b"L\n.",
        "tuples in tuples": nested,
        "lists doubled": b"\x80\x02}q\x00" + b"h\x00]q\x00(h\x00h\x00e" * 1000 + b".",
        "pairs taken again and again": pairs + b"h\x00h\x01\x85R0" * 2000 + b".",
        "an unknown operation": b"\x80\x02\xff.",
        "an unknown protocol": b"\x80\xff}.",
        "an extension": b"\x80\x02\x82\x01.",
        "a persistent text": text + b"P0\ns.",
        "a buffer of elsewhere": b"\x80\x05\x97.",
        "a storage without a name": text + b"(X\x07\x00\x00\x00storagecbuiltins\nint\ntQs.",
        "stride 0": pickled({"a": tensor((10**6, 10**6), (0, 0))}),
        "stride 0 in one axis": pickled({"a": tensor((4, 4), (0, 1))}),
        "windows over each other": pickled({"a": tensor((8, 8), (1, 1))}),
        "a shape of 2**62": pickled({"a": tensor((2**62,), (1,))}),
        "a shape of 2**70": pickled({"a": tensor((2**70,), (2**70,))}),
        "no numbers, but 2**62 rows": pickled({"a": tensor((2**62, 2**62, 0), (1, 1, 1))}),
        "a shape below 0": pickled({"a": tensor((-1, -1), (1, 1))}),
        "strides below 0": pickled({"a": tensor((4,), (-1,))}),
        "an offset below 0": pickled({"a": tensor((4,), (1,), -1)}),
        "an offset behind the end": pickled({"a": tensor((4,), (1,), 13)}),
        "100 axes": pickled({"a": tensor((1,) * 100, (1,) * 100)}),
        "fewer strides than axes": pickled({"a": tensor((4, 4), (1,))}),
        "a shape of texts": pickled({"a": tensor(("4",), (1,))}),
        "a tensor without a storage": pickled({"a": Call(REBUILD, 3, 0, (4,), (1,), False, None)}),
        "a storage that is not there": pickled({"a": tensor((4,), (1,), key="../../1")}),
    }


def archives() -> dict[str, bytes]:
    """Files whose envelope is wrong, by what is."""
    good = pickled({"a": tensor((4, 4), (4, 1))})
    whole = zipped(good)
    start = whole.index(b"PK\x01\x02")  # the central directory

    def changed(offset: int, new: bytes) -> bytes:
        return whole[: start + offset] + new + whole[start + offset + len(new) :]

    two = io.BytesIO()
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("a/data.pkl", good)
        archive.writestr("b/data.pkl", good)
    return {
        "deflated, a thousand times smaller": zipped(good, bytes(2**22), zipfile.ZIP_DEFLATED),
        "bzip2": zipped(good, bytes(2**20), zipfile.ZIP_BZIP2),
        "lzma": zipped(good, bytes(2**20), zipfile.ZIP_LZMA),
        "a member that claims 4 GB": changed(20, struct.pack("<II", 2**32 - 2, 2**32 - 2)),
        "a member that claims 4 GB when read": changed(24, struct.pack("<I", 2**32 - 2)),
        "a member that is encrypted": changed(8, b"\x01"),
        "a method that is unknown": changed(10, b"\x63"),
        "a version that is unknown": changed(6, b"\xff"),
        "a wrong checksum": changed(16, b"abcd"),
        "a member at another place": changed(42, struct.pack("<I", 10**6)),
        "two indices": two.getvalue(),
        "legacy, numbers that are cut off": legacy(good, data=struct.pack("<q", 16) + bytes(60)),
        "legacy, 2**62 numbers": legacy(good, data=struct.pack("<q", 2**62) + bytes(64)),
        "legacy, -2 numbers": legacy(good, data=struct.pack("<q", -2) + bytes(64)),
        "legacy, a key that is unknown": legacy(good, keys=("1",)),
        "legacy, no keys": legacy(good, keys=()),
        "legacy, big-endian": pickled(MAGIC) + pickled(1001) + pickled({"little_endian": False}),
        "legacy, a system without an order": pickled(MAGIC) + pickled(1001) + pickled({}),
        "zeros": bytes(1000),
    }


def hostile_files(seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield all files above, and good files with bytes changed at random."""
    rng = random.Random(seed)
    for what, index in pickles().items():
        yield what, zipped(index)
    for what in ("a memo of 4 GB", "a text of 2**62", "tuples in tuples", "stride 0", "a shape of 2**62"):
        yield f"legacy, {what}", legacy(pickles()[what])
    yield from archives().items()
    index = pickled({"a": tensor((4, 4), (4, 1))})
    legacy_data = struct.pack("<q", 16) + NUMBERS.tobytes()
    for what, whole in (
        ("zip", zipped(index, NUMBERS.tobytes())),
        ("legacy", legacy(index, data=legacy_data)),
    ):
        for k in range(20):
            changed = bytearray(whole)
            for _ in range(rng.randint(1, 4)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            end = rng.choice([len(changed), rng.randrange(len(changed))])
            yield f"changed {what} {k}", bytes(changed[:end])


def write(folder: Path, content: bytes) -> Path:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return path
