"""How images are dealt into shards."""

import hashlib

from data_prep.plan.plan import PlannedPhotograph

# Readers deal shards out to ranks and workers, and shuffle their order: with fewer than 16 some would idle. Shards of
# less than 16 images would be all overhead, so that a dataset below 256 images has fewer.
LEAST_SHARDS = 16
LEAST_PHOTOGRAPHS = 16


def order(key: str) -> bytes:
    """Images are sorted by this: as good as shuffled, and the same everywhere."""
    return hashlib.sha256(key.encode()).digest()


def deal(photographs: list[PlannedPhotograph], shard_bytes: int) -> list[list[PlannedPhotograph]]:
    """Images → shards of one split and part each and about equal size, by split, part and key order."""
    groups: dict[tuple[str, str], list[PlannedPhotograph]] = {}
    for planned in sorted(photographs, key=lambda planned: order(planned.photograph.key)):
        groups.setdefault((planned.photograph.split, planned.photograph.part), []).append(planned)
    total = sum(planned.bytes for planned in photographs)
    wanted = max(-(-total // shard_bytes), min(LEAST_SHARDS, len(photographs) // LEAST_PHOTOGRAPHS), 1)
    return [shard for name in sorted(groups) for shard in _cut(groups[name], total, wanted)]


def _cut(group: list[PlannedPhotograph], total: int, wanted: int) -> list[list[PlannedPhotograph]]:
    """Cut a split's part into its share of all shards, by bytes and in integers: no rounding differs by machine."""
    size = max(sum(planned.bytes for planned in group), 1)
    pieces = max(1, -(-size * wanted // max(total, 1)))
    shards: dict[int, list[PlannedPhotograph]] = {}
    before = 0
    for planned in group:
        shards.setdefault(before * pieces // size, []).append(planned)
        before += planned.bytes
    return list(shards.values())
