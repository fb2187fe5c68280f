"""HTML pages that stand alone: they load nothing, and text from data is never markup in them."""

import base64
import io

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from PIL import Image

from data_prep.format.manifest import Manifest
from data_prep.pages.drawing import Picture

PHOTOGRAPHS = "photographs"


def page_environment(package: str) -> Environment:
    """Load the templates of a package, which extend `page.html.j2`. All text is escaped; the filter `jpeg` is
    `jpeg_uri`."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("data_prep.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["jpeg"] = jpeg_uri
    return environment


def page_file(out: str) -> str:
    """The page that an option names: `out` itself if it ends in `.html`, else its `index.html`."""
    return out if out.endswith(".html") else f"{out.rstrip('/')}/index.html"


def svg_uri(document: bytes) -> str:
    """Encode an SVG document as the `src` of an `img`."""
    return _data_uri("image/svg+xml", document)


def counts_table(manifest: Manifest) -> tuple[list[str], list[tuple[str, str, list[int | None]]]]:
    """List what the manifest counts, images first, and the numbers of each split and part (None: not counted there)."""
    parts = [
        (split, part, counts) for split, all_parts in manifest.counts.items() for part, counts in all_parts.items()
    ]
    what = sorted({name for _, _, counts in parts for name in counts}, key=lambda name: (name != PHOTOGRAPHS, name))
    return what, [(split, part, [counts.get(name) for name in what]) for split, part, counts in parts]


def jpeg_uri(picture: Picture) -> str:
    """Encode an image (uint8[H, W, 3], RGB) as a JPEG in the `src` of an `img`."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=88)
    return _data_uri("image/jpeg", buffer.getvalue())


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
