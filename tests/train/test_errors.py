import errno
import os
import re

import pytest

from train.errors import UserError, writing


def test_a_message_is_one_line_that_any_terminal_prints():
    text = str(UserError("Größe 検査\n\r\x1b[2J\udc80.png: is empty"))
    assert text == r"Größe 検査\n\r\x1b[2J\udc80.png: is empty"
    assert text.encode()


FULL = os.strerror(errno.ENOSPC)


def from_the_error_of_another_thread():
    try:
        raise OSError(errno.ENOSPC, FULL)
    except OSError:
        raise RuntimeError("event loop is closed")  # noqa: B904


def test_a_full_disk_is_told_from_a_bug_whoever_raises_it():
    line = re.escape(f"there: cannot be written ({FULL}); mend it")
    for error in (
        OSError(errno.ENOSPC, FULL),
        ValueError(f"RESOURCE_EXHAUSTED: {FULL} [os_error_code='28']"),
    ):
        with pytest.raises(UserError, match=line), writing("there", "mend it"):
            raise error
    with pytest.raises(UserError, match=FULL), writing("there", "mend it"):
        from_the_error_of_another_thread()
    with pytest.raises(ValueError, match="a bug"), writing("there", "mend it"):
        raise ValueError("a bug")
    with pytest.raises(UserError, match=r"^a file: cannot be read"), writing("there", "mend it"):
        raise UserError(f"a file: cannot be read ({os.strerror(errno.EACCES)})")
