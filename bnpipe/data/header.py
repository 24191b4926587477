"""What a packed data set says about itself. It is read without the images, and without torch."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from bnpipe.core.errors import InputError
from bnpipe.core.settings import Shape

HEADER = "bnpipe_dataset"
NOT_PACKED, REMEDY = "expected a packed data set, got something else", "delete it and run the same command again"


@dataclass(frozen=True)
class Header:
    """What a packed data set says about itself."""

    sha256: str  # of all images and labels, in the order train, validation, test
    validation_images: int
    shape: Shape


def read_header(path: Path) -> Header:
    """Read the header of a packed data set. Raises InputError if the file is missing or is something else."""
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()[HEADER])
            validation_images, pixels = file.get_slice("validation_images").get_shape()
            header = Header(about["sha256"], validation_images, Shape(**about["shape"]))
            if header.shape.pixels != pixels:
                raise ValueError(f"images of {pixels} pixels instead of {header.shape}")
            return header
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {NOT_PACKED} ({error}); {REMEDY}") from error


def check_split(path: Path, validation_images: int) -> Header:
    """Read the header of a packed data set that is expected to have this many validation images.

    Raises InputError as `read_header` does, and also if the number of validation images differs.
    """
    header = read_header(path)
    if header.validation_images != validation_images:
        raise InputError(
            f"{path}: validation_images: expected {validation_images}, as configured, got {header.validation_images}; "
            "delete this file to pack the images again, or undo the change"
        )
    return header
