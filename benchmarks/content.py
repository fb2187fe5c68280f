"""Recall of copies of held-out images, and how many of their neighbors in a burst are taken for copies.

Held out are all images of the real sample. Planted are copies of each (half and double size, quality 50, crops of
up to 5 % on any sides, and all of it together), and of each its neighbors: frames of one burst, in which the
camera moved, or something in front of it, or both. "Hardly" is what is hard to tell: movements of a few pixels. Each
is compared with all the held-out images.

    MASKX_REAL_SAMPLE=DIR python -m benchmarks.content
"""

import argparse
import itertools
import time
from collections.abc import Iterator

import msgspec
import numpy as np

from benchmarks.bursts import Movement, first_frame, frame
from benchmarks.real_sample import Pixels, RealImage, cropped, jpeg, real_images, resized
from benchmarks.settings import print_settings
from data_prep.content.search import LEAST_SIDE, HeldOutPictures, describe
from data_prep.format.images import decode_luminance

CROP = 0.05
SCALES = {"half": 0.5, "same size": 1.0, "double": 2.0}
QUALITIES = {"half": (85, 50), "same size": (50,), "double": (85, 50)}
MOVEMENTS = {
    "camera": Movement(camera=(0.01, 0.04), rotation=(0, 1), parallax=(0.3, 0.8)),
    "subject": Movement(subject=(0.02, 0.08)),
    "camera and subject": Movement((0.01, 0.04), (0, 1), (0.3, 0.8), (0.02, 0.08)),
    "camera, hardly": Movement(camera=(0.003, 0.01), rotation=(0, 0.3), parallax=(0.3, 0.8)),
    "subject, hardly": Movement(subject=(0.005, 0.02)),
}


def copies(pixels: Pixels, random: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Planted copies with the name of their kind: every choice of sides by 5 %, and one by random fractions."""
    sides = [tuple(CROP * side for side in chosen) for chosen in itertools.product((0, 1), repeat=4)]
    sides.append(tuple(random.uniform(0, CROP, 4)))
    for crop, size in itertools.product(sides, SCALES):
        number = int(np.count_nonzero(crop))
        part = resized(cropped(pixels, *crop), SCALES[size])
        for quality in QUALITIES[size]:
            where = f"cropped on {number} side{'' if number == 1 else 's'}" if number else "whole"
            yield f"{where}, {size}, quality {quality}", jpeg(part, quality)


def neighbors(image: RealImage, random: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """The next frames of a burst; a subject can move only where the image has one."""
    pixels, subjects = image.pixels(), image.subjects()
    for kind, movement in MOVEMENTS.items():
        if not movement.subject[1]:
            yield kind, jpeg(frame(pixels, None, movement, random), 85)
        elif subjects:
            subject = subjects[int(random.integers(len(subjects)))]
            yield kind, jpeg(frame(pixels, subject, movement, random), 85)


def gallery(files: list[bytes]) -> HeldOutPictures:
    """Images to be held out, each under its number."""
    described = [describe(0, decode_luminance(data, "held out", LEAST_SIDE).grey) for data in files]
    return HeldOutPictures([np.concatenate(described)], [str(number) for number in range(len(files))])


class Counts:
    """By kind: how many were planted, how many were found to be copies, and the time that comparing them took."""

    def __init__(self) -> None:
        self.planted: dict[str, int] = {}
        self.found: dict[str, int] = {}
        self.wrong: dict[str, int] = {}
        self.seconds = 0.0

    def compare(self, held_out: HeldOutPictures, kind: str, data: bytes, number: int) -> None:
        """Count a planted file of the image with this number; `wrong` is what was taken for another's copy."""
        grey = decode_luminance(data, kind, LEAST_SIDE).grey
        start = time.process_time()
        found = held_out.copied_by(grey)
        self.seconds += time.process_time() - start
        self.planted[kind] = self.planted.get(kind, 0) + 1
        self.found[kind] = self.found.get(kind, 0) + (found == str(number))
        self.wrong[kind] = self.wrong.get(kind, 0) + (found not in {None, str(number)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=None, help="number of the sample's images, all by default")
    images = real_images()[: parser.parse_args().images]
    print_settings(("numpy", "opencv-python-headless", "pillow"), images=len(images))
    random = np.random.default_rng(0)
    pixels = [image.pixels() for image in images]
    originals = gallery([image.path.read_bytes() for image in images])
    frames = gallery([jpeg(first_frame(each), 92) for each in pixels])
    planted, near = Counts(), Counts()
    for number, image in enumerate(images):
        for kind, data in copies(pixels[number], random):
            planted.compare(originals, kind, data, number)
        for kind, data in neighbors(image, random):
            near.compare(frames, kind, data, number)
    report(planted, near)


def report(planted: Counts, near: Counts) -> None:
    """Print a line for each kind, and all of it as JSON in the last line."""
    print(f"{'planted copies':52}{'number':>8}{'found':>8}{'recall':>9}")
    for kind, number in sorted(planted.planted.items()):
        print(f"{kind:52}{number:8}{planted.found[kind]:8}{planted.found[kind] / number:9.4f}")
    print(f"\n{'neighbors in a burst':52}{'number':>8}{'kept':>8}{'kept':>9}")
    for kind, number in near.planted.items():
        kept = number - near.found[kind] - near.wrong[kind]
        print(f"{kind:52}{number:8}{kept:8}{kept / number:9.4f}")
    true = sum(planted.found.values())
    false = sum(sum(c.values()) for c in (planted.wrong, near.wrong))
    clear = sum(near.found[kind] for kind in near.found if not kind.endswith("hardly"))
    result = {
        "recall": true / sum(planted.planted.values()),
        "precision": true / (true + false + clear),
        "copies_of_another": false,
        "recall_by_kind": {k: planted.found[k] / n for k, n in sorted(planted.planted.items())},
        "neighbors_kept_by_kind": {k: 1 - (near.found[k] + near.wrong[k]) / n for k, n in near.planted.items()},
        "cpu_ms_to_compare": 1e3 * planted.seconds / sum(planted.planted.values()),
    }
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
