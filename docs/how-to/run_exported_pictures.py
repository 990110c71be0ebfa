"""Segment pictures or volumes of one slice by an exported 2D model: python run_exported_pictures.py MODEL MASK PICTURE"""

import io
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image, ImageOps
from run_exported import load, segment


def planes(file, colours):  # channels (W, H) of a picture; without colours it has to be grey
    stream = io.BytesIO(Path(file).read_bytes())  # of a file on disk Pillow 13 mixes up the rows of some turned TIFF
    picture = ImageOps.exif_transpose(Image.open(stream))
    pixels = np.asarray(picture if picture.mode in ("L", "I", "I;16", "F", "RGB") else picture.convert("RGB")).T
    red, green, blue = pixels if pixels.ndim == 3 else [pixels] * 3
    alike = (red == green).all() and (red == blue).all()
    if not (alike or colours):
        sys.exit(f"{file}: it is a colour picture; expected one grey value per pixel")
    grey = red if alike else np.rint(0.299 * red + 0.587 * green + 0.114 * blue)
    return [{"red": red, "green": green, "blue": blue, "grey": grey}[colour] for colour in colours or ["grey"]]


def main(model, mask, *files):
    told, run = load(model)
    if not files[0].endswith((".nii", ".nii.gz")):
        image = np.array([plane for file in files for plane in planes(file, told["colour"])], np.float32)
        Image.fromarray(told["values"][segment(image, [1.0, 1.0], told, run)].T).save(mask)
        return
    opened = [nib.load(file) for file in files]
    flat = opened[0].shape.index(1)  # the axis of the one slice
    channels = [np.asarray(one.dataobj, np.float32).squeeze(flat) for one in opened]
    image = np.stack(channels) if channels[0].ndim == 2 else np.moveaxis(channels[0], -1, 0)
    found = segment(image, np.delete(nib.affines.voxel_sizes(opened[0].affine), flat), told, run)
    found = np.expand_dims(told["values"][found], flat)
    nib.save(nib.Nifti1Image(found, opened[0].affine, opened[0].header, dtype=found.dtype), mask)


if __name__ == "__main__":
    main(*sys.argv[1:])
