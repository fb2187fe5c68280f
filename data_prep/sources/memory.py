"""Memory that is freed goes back to the system, so that the peak is what is needed at a time, not the sum of it all."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 1 << 20
_KEPT = 1 << 24


def return_large_blocks() -> None:
    """Have the C library give back every block of a megabyte or more when it is freed; once in a process.

    glibc raises this threshold by itself with each large block that is freed, up to 32 MB, and then keeps such blocks
    in a heap that does not shrink: a third of what a worker held. With a threshold of one's own it gives back what is
    free at the heap's end as soon as that is 128 kB, and is asked for it again: arrays of such a size took twice the
    time. So up to 16 MB are kept there. Other C libraries have no such settings.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
