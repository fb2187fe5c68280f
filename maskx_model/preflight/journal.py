"""What the first and the last steps of one pipeline run tell the exit handler, which sees no output of theirs."""

import msgspec

from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import exists, read


class Journal(msgspec.Struct, frozen=True):
    """A pipeline run: the root that it writes to, the fingerprint of what it was asked for, the registered version with
    that fingerprint (empty if there is none, so that there is something to do), and the version that this run
    registered (empty until then)."""

    root: str
    fingerprint: str
    unchanged_since: str = ""
    registered: str = ""


def journal_uri(root: str, run_id: str) -> str:
    """Where the journal of a run stands, below the pipeline's parameter `root`."""
    return f"{root.rstrip('/')}/runs/{run_id}.json"


def config_uri(root: str, run_id: str) -> str:
    """Where the whole configuration of a run stands beside its journal, for all steps that follow.

    It is the run's own: another run that writes to the same root meanwhile may have another.
    """
    return f"{root.rstrip('/')}/runs/{run_id}.yaml"


def write_journal(uri: str, journal: Journal) -> None:
    """Write the whole journal."""
    write_own(uri, journal)


def read_journal(uri: str) -> Journal | None:
    """The journal; None where the run failed before it was begun. Raises DataError if it is damaged."""
    if not exists(uri):
        return None
    try:
        return msgspec.json.decode(read(uri), type=Journal)
    except JSON_ERRORS as error:
        raise DataError(f"{uri}: not the journal of a pipeline run ({error})") from None


def begun_journal(uri: str) -> Journal:
    """The journal that the first step began; raises DataError if there is none, or a damaged one."""
    journal = read_journal(uri)
    if journal is None:
        raise DataError(f"{uri}: no such journal; the pipeline's first step writes it")
    return journal
