"""Describe where the public data sets are published, how to lay them out for `--source`, and what disk they need.

Sizes and addresses are what the publishers served when this was written; the pages named are the authority.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from data_prep.inspect.show import Rows, table
from data_prep.storage.scratch import scratch_bytes, scratch_folder


@dataclass(frozen=True)
class PublicFile:
    """A download: its address, its size in bytes, and what prepare does with it: needs the images unpacked, reads
    the annotations as they are."""

    url: str
    bytes: int
    images: bool = False


@dataclass(frozen=True)
class PublicSource:
    """A data set. `page` is its publisher's; `layout` what prepare looks for, below the folder given to `--source`."""

    name: str
    holds: str
    page: str
    files: tuple[PublicFile, ...]
    layout: str
    option: str
    license: str


COCO_LICENSE = "annotations CC BY 4.0; each image under the Flickr license that its record names (https://cocodataset.org/#termsofuse)"
COCO_2017 = PublicSource(
    name="COCO 2017",
    holds="118,287 images for training and 5,000 for validation, 80 classes, boxes and masks",
    page="https://cocodataset.org/#download",
    files=(
        PublicFile("http://images.cocodataset.org/zips/train2017.zip", 19_336_861_798, images=True),
        PublicFile("http://images.cocodataset.org/zips/val2017.zip", 815_585_330, images=True),
        PublicFile("http://images.cocodataset.org/annotations/annotations_trainval2017.zip", 252_907_541),
    ),
    layout="coco/train2017/*.jpg  coco/val2017/*.jpg  coco/annotations_trainval2017.zip (or its annotations/)",
    option="--source coco=coco:coco",
    license=COCO_LICENSE,
)
COCO_2014 = PublicSource(
    name="COCO 2014",
    holds="the same images split another way: 82,783 and 40,504; give one release, not both",
    page=COCO_2017.page,
    files=(
        PublicFile("http://images.cocodataset.org/zips/train2014.zip", 13_510_573_713, images=True),
        PublicFile("http://images.cocodataset.org/zips/val2014.zip", 6_645_013_297, images=True),
        PublicFile("http://images.cocodataset.org/annotations/annotations_trainval2014.zip", 252_872_794),
    ),
    layout="coco/train2014/*.jpg  coco/val2014/*.jpg  coco/annotations_trainval2014.zip (or its annotations/)",
    option="--source coco=coco:coco",
    license=COCO_LICENSE,
)
VISUAL_GENOME = PublicSource(
    name="Visual Genome 1.4",
    holds="3.8 million boxes of some 8,000 synsets, no masks, in 108,077 images, 51,000 of them COCO's",
    page="https://homes.cs.washington.edu/~ranjay/visualgenome/api.html",
    files=(
        PublicFile("https://cs.stanford.edu/people/rak248/VG_100K_2/images.zip", 9_731_705_982, images=True),
        PublicFile("https://cs.stanford.edu/people/rak248/VG_100K_2/images2.zip", 5_471_658_058, images=True),
        PublicFile("https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset/image_data.json.zip", 1_780_854),
        PublicFile("https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset/objects.json.zip", 55_323_929),
    ),
    layout=(
        "visual_genome/VG_100K/*.jpg  visual_genome/VG_100K_2/*.jpg  visual_genome/image_data.json.zip  "
        "visual_genome/objects.json.zip (or the .json; releases 1.0 and 1.2 are objects_v1.json.zip and "
        "objects_v1_2.json.zip)"
    ),
    option="--source vg=vg:visual_genome",
    license="annotations CC BY 4.0; images from YFCC100M and COCO under their Flickr licenses",
)
LVIS = PublicSource(
    name="LVIS 1.0",
    holds="masks of 1,203 classes in 119,979 of COCO 2017's images; its validation set has some of train2017",
    page="https://www.lvisdataset.org/dataset",
    files=(
        PublicFile("https://dl.fbaipublicfiles.com/LVIS/lvis_v1_train.json.zip", 350_000_000),
        PublicFile("https://dl.fbaipublicfiles.com/LVIS/lvis_v1_val.json.zip", 64_000_000),
    ),
    layout=(
        "coco/train2017/*.jpg  coco/val2017/*.jpg  coco/lvis_v1_train.json.zip  coco/lvis_v1_val.json.zip "
        "(or the .json)"
    ),
    option="--source lvis=lvis:coco",
    license="annotations CC BY 4.0; images are COCO's",
)
SOURCES = (COCO_2017, COCO_2014, VISUAL_GENOME, LVIS)

# Half of Visual Genome's images are COCO's and are in the dataset once; records take a few hundred bytes an
# object with a mask, a hundred without.
SHARED = 0.48
RECORD_BYTES = 1_000_000_000
UNPACKED_JSON = 1_000_000_000


def describe_sources() -> str:
    """Describe all sources and the disk they need, as text for a terminal."""
    return "\n\n".join([*map(_describe, SOURCES), _disk()])


def _describe(source: PublicSource) -> str:
    files = table([("file", "about"), *((file.url, _size(file.bytes)) for file in source.files)])
    return (
        f"{source.name}: {source.holds}\n"
        f"page      {source.page}\n{files}\n"
        f"layout    {source.layout}\n"
        f"prepare   {source.option}\n"
        f"license   {source.license}"
    )


def _disk() -> str:
    coco, genome = _image_bytes([COCO_2017]), _image_bytes([VISUAL_GENOME])
    rows: Rows = [
        ("Disk, about", ""),
        ("images of COCO 2017, unpacked", _size(coco)),
        ("images of Visual Genome, unpacked", _size(genome)),
        ("the dataset of COCO 2017", _size(coco + RECORD_BYTES / 2)),
        (
            "the dataset of both (images in both are in it once)",
            _size(coco + genome * (1 - SHARED) + RECORD_BYTES),
        ),
        ("scratch for annotation files that come zipped or from object storage", _size(UNPACKED_JSON)),
    ]
    scratch = (
        f"The scratch folder is {scratch_folder()} (MASKX_SCRATCH names another). Copies in it take up to "
        f"{_size(scratch_bytes())} (MASKX_SCRATCH_BYTES),\nthen those used longest ago go."
    )
    first_try = "For a first try, `maskx data prepare --limit 1000` prepares 1000 images of each split."
    return f"{table(rows)}\n\n{scratch}\n\n{first_try}"


def _image_bytes(sources: Iterable[PublicSource]) -> int:
    return sum(file.bytes for source in sources for file in source.files if file.images)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 1):.0f} MB"
