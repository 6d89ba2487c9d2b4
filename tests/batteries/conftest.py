"""The run that batteries damage is that of the end-to-end tests."""

from tests.end_to_end.conftest import prepared, run  # noqa: F401
