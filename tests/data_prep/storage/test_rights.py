"""Files and folders without rights are errors that users see, with the path and the remedy."""

from pathlib import Path

import pytest

from data_prep.storage.storage import write
from tests.rights import run_without_privilege

TELL = """
from pathlib import Path
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import *
try:
    {call}
except ConfigError as error:
    print(error)
"""


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A file that cannot be read, and a folder that cannot be entered, and one where nothing can be written."""
    for name, mode in (("secret", 0o000), ("closed/a", 0o600), ("kept/a", 0o600)):
        write(tmp_path / name, b"123")
        (tmp_path / name).chmod(mode)
    (tmp_path / "closed").chmod(0o000)
    (tmp_path / "kept").chmod(0o500)
    return tmp_path


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("read('secret')", "secret: cannot be read (Permission denied); get the rights to it, or choose another path"),
        ("read_range('secret', 0, 1)", "secret: cannot be read (Permission denied)"),
        ("sha256('secret')", "secret: cannot be read (Permission denied)"),
        ("exists('closed/a')", "closed/a: cannot be looked at (Permission denied)"),
        ("is_folder('closed/a')", "closed/a: cannot be looked at (Permission denied)"),
        ("info('closed/a')", "closed/a: cannot be looked at (Permission denied); get the rights to it"),
        ("finder('closed')('a')", "closed/a: cannot be looked at (Permission denied); get the rights to it"),
        ("list_files('closed')", "closed: cannot be listed (Permission denied); get the rights to it"),
        ("list_files('.')", "./closed: cannot be listed (Permission denied)"),
        ("Path('closed').rename('.closed'), list_files('.')", ""),
        ("write('kept/b', b'')", "kept/b: cannot be written (Permission denied)"),
        ("write('kept/new/b', b'')", "kept/new/b: cannot be written (Permission denied)"),
        ("write('closed/new/b', b'')", "closed/new/b: cannot be written (Permission denied)"),
        ("create_folder('kept/b', 'm').__enter__()", "kept/b: cannot be written (Permission denied)"),
        ("remove('kept/a')", "kept/a: cannot be removed (Permission denied)"),
        ("remove_folder('kept')", "kept: cannot be removed (Permission denied)"),
        ("check_writable('kept/new/deep')", "kept/new/deep: cannot be written (no rights to"),
        ("check_writable('secret/below')", "secret/below: cannot be written, a part of the path is a file"),
        ("check_writable('new/below')", ""),
    ],
)
def test_rights_that_are_missing_are_named(closed: Path, call: str, words: str) -> None:
    told = run_without_privilege(TELL.format(call=call), closed)
    assert told.startswith(words)
    assert bool(told) == bool(words)


def test_a_folder_in_one_where_nothing_can_be_renamed_is_filled(tmp_path: Path) -> None:
    write(tmp_path / "kept/folder/old", b"")
    (tmp_path / "kept").chmod(0o500)
    call = "fill('kept/folder'); print(list_files('kept/folder'))"
    program = f"from tests.data_prep.storage.test_storage import fill, list_files; {call}"
    assert run_without_privilege(program, tmp_path) == "['marker', 'pictures/new']\n"
