"""What becomes of an annotation: it gets a mask, or is left as it is for one of these reasons. The numbers add up."""

SEGMENTED = "segmented"
KEPT = "has_a_mask"
CROWD = "crowd"
UNKNOWN_CLASS = "unknown_class"
NO_BOX = "no_box"
NO_IMAGE = "no_image"
EMPTY = "empty"

OUTCOMES = {
    SEGMENTED: "got a mask",
    KEPT: "has a mask already, which is kept",
    CROWD: "is a crowd: a region of many objects, of which a model of single ones knows nothing",
    UNKNOWN_CLASS: "its class is none of the model's",
    NO_BOX: "has no box that can be read, or none within its image",
    NO_IMAGE: "its image is not listed or no single file, missing, damaged, or of another size than listed",
    EMPTY: "the model finds nothing in its box",
}
"""Each outcome in words, in the order in which people read them."""
