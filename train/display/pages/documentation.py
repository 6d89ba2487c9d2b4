"""Where the pages of the site are, which the pages of a run link to and never load."""

DOCUMENTATION = "https://balanced-jax.readthedocs.io/en/latest/"
"""Address of the site."""


def documentation(page: str, anchor: str) -> str:
    """Return the address of a heading of the site.

    Args:
        page: below `docs`, without its extension.
        anchor: of the heading.
    """
    return f"{DOCUMENTATION}{page}.html#{anchor}"
