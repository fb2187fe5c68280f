"""List the sources: their images, their classes, and the byte ranges of their annotations."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from data_prep.format.manifest import Source, SourceFile
from data_prep.plan.copied_ids import without_copied_ids
from data_prep.plan.image_files import ImageFiles, Located
from data_prep.plan.plan import PlannedFile
from data_prep.plan.repeated import distinct
from data_prep.sources.categories import Category
from data_prep.sources.coco import list_coco
from data_prep.sources.counts import Counts, increase
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import ByteRange
from data_prep.sources.labels import tell, with_labels
from data_prep.sources.layout import cached_sha256
from data_prep.sources.lvis import list_lvis
from data_prep.sources.options import CocoFiles, SourceFiles
from data_prep.sources.reasons import BrokenError
from data_prep.sources.visual_genome import SYNSET_FILE, list_visual_genome
from data_prep.sources.zips import unpacked


@dataclass
class Listing:
    """What all sources list. `classes`: each COCO-format source's classes, in the order of their ids; `rejected`: the
    images whose id is that of several files; `located`: how the COCO-format images' files were found."""

    files: list[PlannedFile] = field(default_factory=list)
    byte_ranges: list[ByteRange] = field(default_factory=list)
    coco_format: list[SourceImage] = field(default_factory=list)
    rejected: list[SourceImage] = field(default_factory=list)
    located: Located = field(default_factory=lambda: Located([], {}, {}))
    others: list[SourceImage] = field(default_factory=list)
    classes: dict[str, tuple[Category, ...]] = field(default_factory=dict)
    read: dict[str, list[SourceFile]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    def manifest_sources(self) -> tuple[Source, ...]:
        """The sources as the manifest names them."""
        kinds = {file.source: file.kind for file in self.files}
        return tuple(
            Source(name, kind, tuple(self.read[name]), _exhaustive(kind, self.classes.get(name, ())))
            for name, kind in kinds.items()
        )


def _exhaustive(kind: str, classes: tuple[Category, ...]) -> tuple[str, ...]:
    """All classes of COCO-format files; those of LVIS are annotated in some images only."""
    return tuple(c.name for c in classes) if kind == "coco" else ()


def list_sources(sources: list[SourceFiles], image_files: ImageFiles) -> Listing:
    """Read what every source lists, and find the files of COCO-format images.

    Raises DataError if a source cannot be read, or if two are releases of one data set.
    """
    listing = Listing()
    names = [files.name if isinstance(files, CocoFiles) else "objects.json" for files in sources]
    for number, files in enumerate(with_labels(sources)):
        if isinstance(files, CocoFiles):
            tell(files)
            coco = (list_coco if files.kind == "coco" else list_lvis)(files, number)
            categories = {c.id: c.name for c in coco.categories}
            listing.files.append(
                PlannedFile(files.source, files.kind, files.annotations, files.label, categories, made_by=files.made_by)
            )
            _add_classes(listing.classes, files, coco.categories)
            listing.coco_format += coco.images
            listing.counts.add(coco.counts)
            byte_ranges, read = coco.byte_ranges, {files.label: files.annotations}
        else:
            genome = list_visual_genome(files, number)
            path = f"{files.folder}/objects.json"
            listing.files.append(PlannedFile(files.source, "vg", path, "objects.json", synsets=genome.synsets))
            listing.others += _unique(genome.images, listing.counts)
            beside = [SYNSET_FILE] if genome.synsets else []
            listing.counts.add(genome.counts)
            byte_ranges = genome.byte_ranges
            read = {name: f"{files.folder}/{name}" for name in ("image_data.json", "objects.json", *beside)}
        listing.byte_ranges += byte_ranges
        listing.read.setdefault(files.source, []).extend(_source_file(*each) for each in read.items())
    listing.located = image_files.locate(listing.coco_format)
    settled = distinct(without_copied_ids(listing.located.images, listing.counts), names, listing.counts)
    listing.coco_format, listing.rejected = settled.images, settled.rejected
    return listing


def _source_file(label: str, path: str) -> SourceFile:
    return SourceFile(label, unpacked(path).stat().st_size, cached_sha256(path))


def _add_classes(classes: dict[str, tuple[Category, ...]], files: CocoFiles, found: tuple[Category, ...]) -> None:
    """Add a file's classes to its source's, by name; one whose id is another class's there gets the next free id."""
    known = list(classes.get(files.source, ()))
    names, ids = {c.name for c in known}, {c.id for c in known}
    for category in found:
        if category.name in names:
            continue
        number = category.id if category.id not in ids else max(ids) + 1
        ids.add(number)
        original = category.original_id if number == category.id else None
        known.append(msgspec.structs.replace(category, id=number, original_id=original))
    classes[files.source] = tuple(sorted(known, key=lambda c: c.id))


def _unique(images: list[SourceImage], counts: Counts) -> Iterable[SourceImage]:
    seen: set[int] = set()
    for image in images:
        increase(counts.images, image.source)
        if image.id in seen:
            counts.reject_image(image, BrokenError("duplicate_id"))
            continue
        seen.add(image.id)
        yield image
