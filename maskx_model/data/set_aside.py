"""Images that turn out to be damaged during training: counted and logged; too many of them stop it."""

import logging

from data_prep.storage.errors import DataError

logger = logging.getLogger(__name__)


class SetAside:
    """The positions of damaged images among the `images` of a training; at most the fraction `allowed` of them."""

    def __init__(self, uri: str, images: int, allowed: float) -> None:
        self._uri, self._images, self._allowed = uri, images, allowed
        self._positions: set[int] = set()

    def __contains__(self, position: int) -> bool:
        return position in self._positions

    def add(self, position: int, error: DataError) -> None:
        """Set an image aside, for the reason given; raises DataError if there are too many now."""
        if position in self._positions:
            return
        self._positions.add(position)
        count = len(self._positions)
        if count > self._allowed * self._images:
            raise DataError(
                f"{self._uri}: {count} of {self._images} training images cannot be read, more than max_set_aside "
                f"({self._allowed:g} of them) allows; the last: {error}; look at the dataset with `maskx data verify` "
                "and prepare it again, or allow more (--set STAGE.max_set_aside=FRACTION)"
            ) from error
        logger.warning("set aside, %d of %d training images so far: %s", count, self._images, error)
