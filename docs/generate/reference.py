"""The reference of the application: commands, config fields, data sets and records, as tables."""

from pathlib import Path

from docs.generate import commands, configs, records


def write(folder: Path) -> None:
    """Write a Markdown file for each page of the reference that includes one."""
    for name, text in pages().items():
        (folder / name).write_text(text)


def pages() -> dict[str, str]:
    """Return these files by name."""
    return {
        "commands.md": commands.page(),
        "config.md": configs.page(),
        "networks.md": configs.networks_page(),
        "data_sets.md": configs.data_sets_page(),
        **records.pages(),
    }
