"""Image files of any format and depth, decoded as RGB."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from landscape.errors import InputError

# what PIL's readers raise on bytes that are no image, or one of sizes that nobody stores
_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, RuntimeError),
    *(ArithmeticError, AttributeError, MemoryError, struct.error, zlib.error),
    Image.DecompressionBombError,
)


def read_image(path: Path, side: int | None = None) -> Image.Image:
    """Decode an image file as RGB, eight bits a channel; of sixteen bits the higher eight are kept.

    Args:
        path: of the file.
        side: width and height it has to have, in pixels.

    Raises:
        InputError: the file is missing, no image, of values without a stated range, or of another
            size.
    """
    try:
        with Image.open(path) as image:
            decoded = _eight_bits(image, path).convert("RGB")
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(f"cannot read image '{path}' ({error}); remove or replace it") from error
    if side is not None and decoded.size != (side, side):
        width, height = decoded.size
        raise InputError(
            f"images are not of one square size: '{path}' is {width}x{height} and others are "
            f"{side}x{side}; give --image-size"
        )
    return decoded


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """Scale one channel of more than eight bits by its range; PIL would clip it at 255."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() >= 2**16:
        kind = "floating-point" if image.mode == "F" else "32-bit"
        raise InputError(
            f"'{path}' has {kind} values from {values.min():g} to {values.max():g}, and nothing "
            "says which of them is white; save the images with 8 or 16 bits, or read them yourself "
            "with --data FILE.py:FUNCTION (diagnose)"
        )
    return Image.fromarray((values // 257 if values.dtype.itemsize > 1 else values).astype("u1"))
