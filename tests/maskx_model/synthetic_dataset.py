"""A finished dataset of synthetic images, and untrained models that fit it."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as rle_codec

from data_prep.format.index import IndexRow, write_index
from data_prep.format.manifest import Manifest, Shard, Source, write_manifest
from data_prep.format.records import Record, encode_record
from data_prep.format.vocabulary import SourceClass, Vocabulary, VocabularyClass, write_vocabulary
from maskx_model.artifacts.model_folder import LoadedModel, save_model
from maskx_model.config import DetectorConfig, MaskConfig, MaskKind, ModelConfig
from maskx_model.model.detector import build_detector
from maskx_model.model.maskx_rcnn import MaskXRCNN

DETECTOR = DetectorConfig(
    backbone="slim",
    weights=None,
    min_size=96,
    max_size=128,
    fpn_channels=8,
    anchor_sizes=(20, 36, 64),
    box_dim=16,
    box_head="single",
    rpn_proposals_test=20,
    score_threshold=0.0,
    detections_per_image=12,
)


def vocabulary_of(names: Sequence[str]) -> Vocabulary:
    """COCO's numbers for the names, with gaps as COCO has them; a last class is Visual Genome's alone."""
    classes = [
        VocabularyClass(f"c{i}.n.01", name, {"coco": SourceClass((name,), 10 * (len(names) - i), 5)}, 2 * i + 1)
        for i, name in enumerate(names)
    ]
    return Vocabulary((*classes, VocabularyClass("rare.n.01", "rare", {"vg": SourceClass(("rare.n.01",), 3)})))


def write_dataset(
    folder: Path,
    records: Sequence[Record],
    names: Sequence[str],
    split: str = "val",
    claimed: Sequence[Record] | None = None,
) -> str:
    """All images in one shard; each object is an ellipse in a colour of its own. With `claimed` the images
    show the records, but these are what is written beside them."""
    with tarfile.open(_parent(folder / split / "coco-000000.tar"), "w") as tar:
        for record, told in zip(records, claimed or records, strict=True):
            for suffix, data in (("jpg", _jpeg(record)), ("json", encode_record(told))):
                info = tarfile.TarInfo(f"{record.key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    with tarfile.open(folder / split / "coco-000000.tar") as tar:
        members = {member.name: member for member in tar}
    rows = [_row(record, members, split) for record in records]
    write_index(f"{folder}/index.parquet", rows)
    write_vocabulary(f"{folder}/vocabulary.json", vocabulary_of(names))
    things = [thing for record in records for thing in record.objects["coco"]]
    counts = {
        split: {
            "coco": {
                "photographs": len(records),
                "coco_objects": len(things),
                "coco_masks": sum(thing.mask is not None for thing in things),
                "coco_crowds": sum(thing.iscrowd for thing in things),
            }
        }
    }
    sources = (Source("coco", "coco", (), tuple(names)), Source("vg", "vg", (), ()))
    path = f"{split}/coco-000000.tar"
    shard = Shard(path, split, "coco", len(records), (folder / path).stat().st_size, "")
    left_out, rejected = {"vg": {"in COCO's val2017": 2}}, {"coco": {"unreadable image": 1}}
    write_manifest(str(folder), Manifest("1.0", sources, {}, counts, left_out, rejected, {}, (shard,)))
    return str(folder)


def write_model(
    folder: Path, names: Sequence[str], kind: MaskKind | None, mask_classes: tuple[int, ...] = (0,), seed: int = 0
) -> str:
    """An untrained model; those of one seed have equal detectors."""
    torch.manual_seed(seed)
    vocabulary = vocabulary_of(names)
    detector = build_detector(DETECTOR, len(vocabulary), load_weights=False)
    for parameter in detector.roi_heads.box_predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    config = ModelConfig(DETECTOR, kind and MaskConfig(kind=kind, mlp="none", convolutions=1, channels=8))
    model = detector if config.mask is None else MaskXRCNN(config, len(vocabulary), detector)
    lines = b"".join(b'{"step":%d,"loss":%f,"loss_mask":%f}\n' % (s, 1 / s, 1 / s) for s in range(1, 20))
    save_model(str(folder), LoadedModel(model, config, vocabulary, mask_classes), {"seed": seed, "kind": kind}, lines)
    return str(folder)


def _jpeg(record: Record) -> bytes:
    rng = np.random.default_rng(record.ids["coco"])
    image = rng.integers(90, 130, (record.height, record.width, 3)).astype(np.uint8)
    for thing in record.objects["coco"]:
        assert thing.mask is not None
        inside = rle_codec.decode({"size": list(thing.mask.size), "counts": thing.mask.counts}).astype(bool)
        image[inside] = rng.integers(0, 255, 3)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _row(record: Record, members: dict[str, tarfile.TarInfo], split: str) -> IndexRow:
    image, text = members[f"{record.key}.jpg"], members[f"{record.key}.json"]
    classes = sorted({thing.category for thing in record.objects["coco"]})
    return IndexRow(
        key=record.key,
        split=split,
        part="coco",
        shard=f"{split}/coco-000000.tar",
        image_offset=image.offset_data,
        image_length=image.size,
        record_offset=text.offset_data,
        record_length=text.size,
        width=record.width,
        height=record.height,
        ids=record.ids,
        flickr_id=None,
        license="Attribution <License>",
        classes={"coco": classes},
    )


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    return path
