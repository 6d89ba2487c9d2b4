"""Short names of prepared sets."""

import hashlib
import json
from typing import Any


def key_of(value: Any) -> str:
    """Twelve hex digits that stand for a value made of plain lists, dictionaries, text and numbers."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
