"""What became of a source's images and objects, and why: the codes in `manifest.json` and `rejects.parquet`."""

EXCLUDED_OBJECTS = {
    "doubled": "objects that are another's double: the same class, box and mask under another id",
    "no_synset": "objects without a synset",
    "several_synsets": "objects with more than one synset",
    "photograph_left_out": "objects of images that are left out",
    "photograph_rejected": "objects of images that were rejected",
}
IN_THE_SHARDS = {
    "outside_vocabulary": "objects of a class outside the vocabulary (in the shards, passed over in training)",
    "aspect_ratio": "images not merged, as the copies' aspect ratios are more than 1 % apart, or their sizes "
    "differ where there are masks (they stand alone)",
}
EXCLUDED_IMAGES = {
    "copy_of_val": "images that show what an image held out of training shows",
    "id_content_disagree": "images whose ids name one image and whose files show another",
    "aspect_ratio_val": "images not merged with a validation image of another aspect ratio",
    "val_in_train": "images for training in one file and held out of it in another: only the canonical record stays",
    "also_in_val": "images whose ids name two others, one of them for validation",
    "copy_rejected": "images merged with one that was rejected",
    "duplicate": "second copies of an image that is merged already",
    "same_file": "records that list an image's file again under another id: their objects are the image's",
    "same_record": "records that list an image again",
    "beyond_limit": "images beyond the limit asked for",
}
EXCLUDED = {**EXCLUDED_OBJECTS, **IN_THE_SHARDS, **EXCLUDED_IMAGES}

HELD_OUT = {
    "coco_id": "whose coco_id names an image held out of training",
    "content": "whose file shows an image held out of training",
    "file": "whose file is that of an image held out of training",
    "flickr_id": "whose Flickr photo id is that of an image held out of training",
    "id_content_disagree": "whose ids name one image and whose file shows another",
}

LOST_MASKS = {
    "bad_mask": "objects whose segmentation is not a mask of the image: used without a mask",
    "empty_mask": "objects whose mask is without a pixel: used without a mask",
    "mask_off_box": "objects, crowds aside, whose mask lies apart from their box: used without a mask",
}
"""Repairs of which `rejects.parquet` has a row, of kind `mask`."""

REPAIRED = {
    **LOST_MASKS,
    "absent_classes": "images of an LVIS file whose lists of absent or partly annotated classes name one that the file "
    "does not list: that one is dropped",
    "area": "objects whose area is no number above 0: computed anew",
    "bbox_from_mask": "objects without a box, or with one without an area: the box of their mask is taken",
    "bbox_shape": "boxes written as text, as an object with x, y, width and height, or a level too deep",
    "box_as_mask": "objects whose segmentation is their box: used without a mask",
    "category_ids_joined": "categories whose name has another id too: they are one class",
    "category_repeated": "categories that are listed again with the same id and name",
    "exif_upright": "images read upright, as their EXIF data say: the listed size fits only so, or --exif apply asks "
    "for it",
    "id_absent": "annotations without an id: numbered by their place in the file",
    "id_mapped": "ids that are text, no number up to 2^53, or also in an earlier file of the source: numbered anew",
    "number_written": "records whose numbers are written as text, floats, true or false",
    "polygon_part": "masks of which a part without three points or an area was dropped",
    "segmentation_shape": "masks written as text, as one list, as points (pairs or x and y), or a level too deep",
    "size_from_file": "images whose listed width and height are absent or wrong: the file's are taken",
    "file_name_blanks": "images whose file name has blanks or line ends around it",
    "file_name_query": "images whose file name ends as a URL does (?w=640), found without that",
    "file_name_backslash": "images whose file name has \\ for /",
    "file_name_percent": "images whose file name is percent-encoded (%20 for a blank)",
    "file_name_unicode": "images whose file name is in the other Unicode normal form",
    "file_name_slash": "images whose file name begins with / and is meant below the image folder",
    "file_name_dots": "images whose file name has . or .. between its folders",
    "file_name_absolute": "images whose file name is the absolute path of a file",
    "file_name_case": "images whose file name differs in upper and lower case",
    "file_name_folder": "images whose file name begins with folders that are not below the image folder",
    "file_name_base": "images found by the last part of their file name, which exists once below the image folder",
}
"""Changes that cannot be wrong, of images and objects that are used."""

NOTED = {
    "beyond_image": "boxes that reach beyond the image",
    "box_of_fractions": "boxes within the first pixel: perhaps they are fractions of the image, from 0 to 1",
    "boxes_of_listed_size": "images whose file is wider or higher than listed, while all boxes lie within the listed "
    "size: the boxes may be those of a stretched copy",
    "class_names_alike": "classes whose names differ from others, of this source or another, in case, blanks or "
    "punctuation only: they stay apart",
    "class_without_objects": "classes without an object",
    "crowd_classes": "classes of which every object is a crowd (iscrowd=1): nothing is learned from crowds",
    "exif_orientation": "images with an EXIF orientation, used as they are stored: if their boxes belong to the "
    "upright image, say --exif apply; if not, --exif ignore",
    "flickr_id_copied": "images with a Flickr id that very many or all in their annotation file have, as from a copied "
    "record: it is not used",
    "many_crowds": "objects that are crowds (iscrowd=1), more than a tenth of the source's: nothing is learned from "
    "crowds",
    "mask_beyond_box": "objects, crowds aside, whose mask reaches out of their box by more than a tenth of it",
    "more_than_8_bits": "images of more than 8 bits a channel, scaled to 8 as data_prep/format/colors.py says",
    "only_crowds": "sources in which every object is a crowd (iscrowd=1): nothing is learned from crowds",
    "no_objects": "sources without one object that can be used",
    "same_image_other_source": "images that another source has too, matched by content: what one of them does not "
    "annotate is background there",
    "same_image_other_split": "images that another split of the source has too, matched by content",
}
"""What looks odd, and is used as it is."""

REJECTED = {
    "bad_file_name": "images whose file name is empty or leads out of the image folder",
    "bad_size": "images of several files, one of them without a listed width or height: boxes cannot be scaled",
    "duplicate_id": "image records of one id that name several files: their annotations could belong to any of these",
    "format_not_read": "files that are no JPEG, PNG, WebP, BMP, TIFF or GIF image; each row says what the file is",
    "malformed": "records that lack a field or hold a wrong type",
    "missing_file": "images without a file",
    "outside_image": "objects wholly outside the image",
    "size_mismatch": "images whose width or height is not the listed one",
    "too_large": "images beyond 90 megapixels",
    "unknown_category": "objects of a category that the file does not list",
    "unknown_image": "annotations of an image that the source does not list",
    "unreadable": "images that do not decode",
    "zero_size": "objects without an area",
}


class BrokenError(Exception):
    """Raised for a record that must be rejected: the reason's code, and what was seen."""

    def __init__(self, reason: str, seen: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.seen = seen
