"""Images that turn out to be damaged during training: counted and logged; too many of them stop it."""

import logging

from data_prep.storage.errors import DataError

logger = logging.getLogger(__name__)


class SetAside:
    """The damaged ones among the `images` of a training, each by its position or its key; at most the fraction
    `allowed` of them."""

    def __init__(self, uri: str, images: int, allowed: float) -> None:
        self._uri, self._images, self._allowed = uri, images, allowed
        self._damaged: set[int | str] = set()

    def __contains__(self, image: int | str) -> bool:
        return image in self._damaged

    def add(self, image: int | str, error: DataError) -> None:
        """Set an image aside, for the reason given; raises DataError if there are too many now."""
        if image in self._damaged:
            return
        self._damaged.add(image)
        count = len(self._damaged)
        if count > self._allowed * self._images:
            raise DataError(
                f"{self._uri}: {count} of {self._images} training images cannot be read, more than max_set_aside "
                f"({self._allowed:g} of them) allows; the last: {error}; look at the dataset with `maskx data verify` "
                "and prepare it again, or allow more (--set STAGE.max_set_aside=FRACTION)"
            ) from error
        logger.warning("set aside, %d of %d training images so far: %s", count, self._images, error)
