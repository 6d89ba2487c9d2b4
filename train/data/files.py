"""The user's files: one walk over folders for all commands, comparison of names, content."""

import os
import unicodedata
from pathlib import Path

from train.errors import UserError


def find_files(root: Path, suffixes: tuple[str, ...], excluded: Path | None = None) -> list[Path]:
    """Return the files with some suffixes under a folder, sorted; symbolic links are followed.

    Args:
        root: the folder.
        suffixes: in lower case; files may have them in upper case.
        excluded: a folder to leave out, beside hidden files and folders, such as .ipynb_checkpoints and the
            ._a.png that macOS puts beside a.png.

    Raises:
        UserError: a folder is missing or may not be read, or a link leads nowhere, or to a folder that
            contains it.
    """
    files: list[Path] = []
    folders: list[tuple[Path, tuple[Path, ...]]] = [(root, ())]
    excluded = excluded and excluded.resolve()
    while folders:
        folder, above = folders.pop()
        resolved = folder.resolve()
        if resolved in above:
            remedy = "remove the link, or name a folder without it"
            raise UserError(f"{folder}: is a link to a folder that contains it; {remedy}")
        if resolved == excluded:
            continue
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    path = folder / entry.name
                    if entry.is_symlink():
                        file_state(path)  # a link that leads nowhere may stand for a folder of images
                    if entry.is_dir():
                        folders.append((path, (*above, resolved)))
                    elif entry.name.lower().endswith(suffixes):
                        files.append(path)
        except OSError as error:
            raise UserError(f"{folder}: cannot be read ({error.strerror}); check the path") from error
    return sorted(files)


def file_state(path: Path) -> tuple[int, int]:
    """Return size and modification time, which change when a file is edited.

    Raises:
        UserError: the file cannot be found, for instance behind a broken link.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore or remove it") from error
    return status.st_size, status.st_mtime_ns


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        UserError: the file is missing, may not be read, or is something else, such as a folder.
    """
    try:
        if path.exists() and not path.is_file():  # reading a named pipe would never end
            raise UserError(f"{path}: is no file; remove it")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); mend it or remove it") from error


def nfc(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which equal names are compared.

    macOS stores "ü" as two characters, other systems and annotation tools as one.
    """
    return unicodedata.normalize("NFC", name)
