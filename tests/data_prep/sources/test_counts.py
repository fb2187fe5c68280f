"""Of very many rejects the first are listed and all are counted, however the counts are added."""

from pathlib import Path

import msgspec

from data_prep.format.rejects import MOST_LISTED, Reject
from data_prep.sources.counts import Counts, sum_counts
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import coco_image, coco_object, prepare_plainly, write_coco


def piece(first: int, number: int) -> bytes:
    rejects = [Reject("own", "a.json", "object", -1, first + n, "unknown_image", "") for n in range(number)]
    rejects += [Reject("own", "a.json", "photograph", -1, first, "malformed", "")]
    return msgspec.json.encode(Counts(objects={"own": number}, rejects=rejects))


def test_the_first_rejects_are_listed_however_they_are_added() -> None:
    size = MOST_LISTED * 3 // 5
    pieces = [piece(number * size, size) for number in range(4)]
    summed = sum_counts(pieces)
    assert summed == sum_counts([sum_counts(pieces[2:]), sum_counts(pieces[:2])])
    total = msgspec.json.decode(summed, type=Counts)
    assert total.rejected() == {"own": {"unknown_image": 4 * size, "malformed": 4}}
    assert total.unlisted == {"own": {"object": {"unknown_image": 4 * size - MOST_LISTED}}}
    assert [r.offset for r in total.rejects if r.kind == "object"] == list(range(MOST_LISTED))


def test_objects_without_a_row_are_counted_and_none_is_lost(tmp_path: Path) -> None:
    unlisted = MOST_LISTED + 7
    objects = [coco_object(n, 9) for n in range(1, unlisted + 1)]
    write_coco(tmp_path / "own", [coco_image(1)], [*objects, coco_object(unlisted + 1, 1)])
    manifest = prepare_plainly(tmp_path / "out", f"own=coco:{tmp_path}/own")
    assert manifest.rejected == {"own": {"unknown_image": unlisted}}
    assert len(read_rejects(f"{tmp_path}/out/rejects.parquet")) == MOST_LISTED
