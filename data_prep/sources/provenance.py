"""An annotation's `provenance`: the mark of a mask that a model made."""

from typing import Annotated

import msgspec

from data_prep.storage.errors import JSON_ERRORS

Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Maker(msgspec.Struct):
    made_by: str


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """The mark of a mask that no person drew, an annotation's `provenance`: the program and the model that made it (a
    name, and the SHA-256 of its manifest), the mask's score, and `before`, whatever stood under that name before."""

    made_by: str
    model: str = ""
    sha256: str = ""
    score: Score | None = None
    before: msgspec.Raw = msgspec.Raw(b"")

    @property
    def maker(self) -> str:
        """Program and model in words."""
        return f"{self.made_by} {self.model}".strip()


def read_mark(provenance: msgspec.Raw | bytes) -> Provenance | None:
    """An annotation's `provenance`, if that says what made its mask; None for anything else.

    Where other fields are not as they are here, a score of 98 for example, the maker counts alone.
    """
    try:
        return msgspec.json.decode(provenance, type=Provenance)
    except JSON_ERRORS:
        pass
    try:
        return Provenance(msgspec.json.decode(provenance, type=_Maker).made_by)
    except JSON_ERRORS:
        return None


def maker_and_score(provenance: msgspec.Raw | bytes) -> tuple[str | None, float | None]:
    """What made a mask, in words, and the mask's score; None each where its `provenance` does not say."""
    mark = read_mark(provenance)
    return (None, None) if mark is None else (mark.maker, mark.score)
