"""Proof that a finished dataset is what its manifest says: every hash, every length, every count."""

from collections import Counter
from collections.abc import Iterator, Mapping

from data_prep.format.manifest import Manifest, Shard
from data_prep.format.reader import Dataset
from data_prep.shards.build_record import ShardContent
from data_prep.sources.counts import increase
from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import FileInfo, finder, info, sha256


def find_problems(uri: str) -> list[str]:
    """One sentence for each thing that is not as the manifest says; raises DataError if there is no manifest."""
    dataset = Dataset.open(uri)
    problems = [*_files(dataset), *(problem for shard in dataset.manifest.shards for problem in _shard(dataset, shard))]
    if problems:
        return problems  # what is damaged is not worth counting
    try:
        return list(_counts(dataset))
    except (DataError, *JSON_ERRORS) as error:
        return [str(error)]


def find_changes(uri: str, versions: Mapping[str, int | str]) -> list[str]:
    """One sentence for each file that is not as the manifest says, without a look at what may be trusted.

    The shards are listed once. One of the manifest's size and of the version that it had when it was written
    (`versions`, by path) is taken as it is; of another version, it is hashed. Raises DataError if there is no manifest.
    """
    dataset = Dataset.open(uri)
    problems = list(_files(dataset))
    find = finder(dataset.uri)
    for shard in dataset.manifest.shards:
        found = find(shard.path)
        if found != FileInfo(shard.bytes, versions.get(shard.path, "")):
            problems += _shard(dataset, shard)
    return problems


def _files(dataset: Dataset) -> Iterator[str]:
    for name, digest in dataset.manifest.files.items():
        yield from _file(f"{dataset.uri}/{name}", digest)


def _file(uri: str, digest: str) -> Iterator[str]:
    if info(uri) is None:
        yield f"{uri}: is missing"
    elif sha256(uri) != digest:
        yield f"{uri}: its bytes are not those that were written"


def _shard(dataset: Dataset, shard: Shard) -> Iterator[str]:
    uri = f"{dataset.uri}/{shard.path}"
    found = info(uri)
    if found and found.bytes != shard.bytes:
        yield f"{uri}: has {found.bytes} bytes, not {shard.bytes}"
    else:
        yield from _file(uri, shard.sha256)


def _counts(dataset: Dataset) -> Iterator[str]:
    """Read every record where the index says it is, and count."""
    found: dict[tuple[str, str], ShardContent] = {}
    keys: Counter[str] = Counter()
    samples: dict[str, int] = {}
    for row in dataset.rows:
        record = dataset.read_record(row)
        if (record.key, record.ids, record.width, record.height) != (row.key, row.ids, row.width, row.height):
            yield f"{dataset.uri}/{row.shard}: the record of {row.key} does not fit its row in index.parquet"
        found.setdefault((row.split, row.part), ShardContent()).add(record)
        increase(samples, row.shard)
        keys[row.key] += 1
    for key, images in keys.items():
        if images > 1:
            yield f"{dataset.uri}/index.parquet: {images} images have the key {key}; prepare the dataset again"
    yield from _compare(dataset.uri, dataset.manifest, found)
    for shard in dataset.manifest.shards:
        if samples.get(shard.path, 0) != shard.samples:
            yield f"{dataset.uri}/{shard.path}: {samples.get(shard.path, 0)} images, not {shard.samples}"


def _compare(uri: str, manifest: Manifest, found: dict[tuple[str, str], ShardContent]) -> Iterator[str]:
    for split, parts in manifest.counts.items():
        for part, counts in parts.items():
            counted = found.pop((split, part), ShardContent()).what
            for what, count in counts.items():
                # How many boxes were clipped shows in no record.
                if not what.endswith("_clipped") and counted.get(what, 0) != count:
                    yield f"{uri}: {split}/{part} has {counted.get(what, 0)} {what}, not {count}"
    for split, part in found:
        yield f"{uri}: {split}/{part} is in the index but not in the manifest"
