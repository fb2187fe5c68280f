"""A process without some libraries, as where the extra that brings them is not installed."""

from functools import cache
from importlib.metadata import packages_distributions, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BLOCK_IMPORTS = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(name + " must not be needed here", name=name)
sys.meta_path.insert(0, Blocked())
"""
"""A program's beginning; `blocked` are top-level modules."""


@cache  # each look reads what every distribution lists
def modules_of(requirement: str) -> set[str]:
    """The top-level modules that a requirement such as `maskx[s3]` brings, with all that it requires in turn."""
    brought = distributions_of(requirement)
    return {
        module for module, names in packages_distributions().items() if brought & set(map(canonicalize_name, names))
    }


def distributions_of(requirement: str) -> set[str]:
    """The names of the distributions that it brings."""
    waiting, found = [Requirement(requirement)], set[Requirement]()
    while waiting:
        each = waiting.pop()
        found.add(each)
        for needed in map(Requirement, requires(each.name) or []):
            extras = each.extras or {""}
            if needed not in found and (not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in extras)):
                waiting.append(needed)
    return {canonicalize_name(each.name) for each in found}
