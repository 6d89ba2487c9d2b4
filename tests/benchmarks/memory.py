"""How much memory a process has held."""

import re
from pathlib import Path


def largest_resident() -> int:
    """Bytes that this process has held at most, on Linux.

    Not `ru_maxrss`, which counts what the process that started this one held as well.
    """
    [kibibytes] = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(kibibytes)
