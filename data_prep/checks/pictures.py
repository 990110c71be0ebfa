"""D020 to D029: what is peculiar to pictures (PNG, JPEG, TIFF, BMP, GIF): transparency, pages, colours, lossy masks."""

from __future__ import annotations

from collections.abc import Iterator

from data_prep.checks.registry import Remark, check, check_kind
from data_prep.checks.subjects import DatasetSubject, LabelSubject, PairSubject
from data_prep.pictures import LARGEST_VALUE, LOSSY, is_picture

# In double quotes an exclamation mark calls for the history of interactive shells. Thumbs.db and lists are no pictures.
FILES = (
    "Path(sys.argv[1]).parent.glob('*.*') if p.suffix.lower() in Image.registered_extensions() and not p.name.startswith('.')"
)
# Upright, since a copy has no EXIF. Opened as a stream: of some turned TIFF that it opens by name, Pillow 13 mixes up the rows.
UPRIGHT = "ImageOps.exif_transpose(Image.open(open(p, 'rb')))"
# A copy never replaces another: p1.jpg and p1.png may lie in one folder.
SAVED = ".save(open(Path('NEW') / (p.stem + '.png'), 'xb'), 'PNG')"


PICTURES = "monai-hybrid repair FOLDER --output OUT --pictures"
PAGES = "monai-hybrid repair FOLDER --output OUT --pages"
# Each colour is the class of its place in C; one that is not there ends the line, so none becomes a class unseen.
BY_COLOUR = (
    'mkdir NEW && {python} -c "import sys; from pathlib import Path; import numpy as np; from PIL import Image, ImageOps; '
    "C = [(0, 0, 0), (255, 0, 0), (0, 255, 0)]; "
    "of = lambda u, k, s: Image.fromarray(np.array([C.index(tuple(c)) for c in u.tolist()], np.uint8)[k.ravel()].reshape(s)); "
    "[of(*np.unique(a.reshape(-1, 3), axis=0, return_inverse=True), a.shape[:2])"
    f"{SAVED} for p in {FILES} for a in [np.asarray({UPRIGHT}.convert('RGB'))]]\" {{file}}"
)
QUARTERS = (5, 6, 7, 8)  # EXIF orientations that exchange the edges
NEW_LABELS = 'monai-hybrid check FOLDER --labels-dir "$PWD/NEW"'  # a name alone is looked for in the data set's own folder
CHOOSE = (
    "Say what to read of colour pictures: --grey, or --channels green, with build and check; "
    "--colour grey, or --colour green, with predict and evaluate"
)
check_kind(
    "transparent",
    code="D020",
    title="A picture has transparent pixels: what they hold is not what a viewer shows.",
    level="error",
    remedy=f"If what lies below may be seen, type: {PICTURES}",
)
check_kind(
    "pages",
    code="D021",
    title="A picture file holds several pages or frames.",
    level="error",
    remedy=f"Say what the pages are. Channels: {PAGES} channels. Slices of a volume, with its voxel size in mm: "
    f'{PAGES} slices --voxel-size "0.001,0.001,0.005". To keep the first page alone: {PAGES} first',
)
check_kind(
    "colour_space",
    code="D022",
    title="A picture's colours are not red, green and blue (printer's inks, LAB), and no conversion of them is exact.",
    level="error",
    remedy=f"For copies in red, green and blue, type: {PICTURES}",
)
check_kind(
    "colour",
    code="D023",
    title="A colour picture lies where one grey value per pixel is expected.",
    level="error",
    remedy=CHOOSE,
)


@check("D024", on="dataset", level="warning", remedy="If all shall be read as grey, add --grey")
def grey_among_colours(subject: DatasetSubject) -> Iterator[Remark]:
    """Some pictures of a colour data set are grey: their one value counts as red, green and blue."""
    channels = {len(facts.ranges) for facts in subject.facts}
    grey = [facts for facts in subject.facts if facts.grey]
    if len(channels) == 1 and channels.pop() > 1 and 0 < len(grey) < len(subject.facts):
        first = grey[0].case
        message = f"{len(grey)} of {len(subject.facts)} pictures are grey; their one value counts for each of the channels"
        yield Remark(message, first.case_id, str(first.images[0]))


AS_PNG = f"Export the masks as PNG; or, for masks of two values, type: {PICTURES}"


@check("D025", on="label", level="error", acceptable=True, remedy=AS_PNG)
def lossy_mask(subject: LabelSubject) -> str | None:
    """A mask is a JPEG, which changes values near borders; these two values may be the right ones."""
    if subject.volume.path.suffix.lower() not in LOSSY or len(subject.counts) != 2:
        return None
    return "a mask stored as JPEG, which changes values near borders (2 different values)"


@check("D029", on="label", level="error", remedy=AS_PNG)
def noisy_mask(subject: LabelSubject) -> str | None:
    """A mask is a JPEG with values that its compression made near borders; each of them would become a class."""
    if subject.volume.path.suffix.lower() not in LOSSY or len(subject.counts) < 3:
        return None
    return f"a mask stored as JPEG, which makes values near borders ({len(subject.counts)} different values)"


@check(
    "D026",
    on="pair",
    level="error",
    remedy="Renumber the classes: monai-hybrid repair FOLDER --output OUT --map 100000=1",
)
def too_large_for_png(pair: PairSubject) -> str | None:
    """A label of a picture holds a value that PNG, in which its masks are written, cannot hold."""
    high = max((value for value in pair.counts or {} if value == value), default=0)
    if pair.counts is None or not is_picture(pair.first.path) or high <= LARGEST_VALUE:
        return None
    return f"label value {high:.0f}; masks of pictures are written as PNG, which holds 0 to {LARGEST_VALUE}"


check_kind(
    "mask_colours",
    code="D027",
    title="A mask is a colour picture: no rule says which colour is which class.",
    level="error",
    remedy="Store class numbers, as grey values or with a colour table. This writes such copies of the folder, once your "
    f"colours stand in C, background first, then class 1 and so on: {BY_COLOUR} && {NEW_LABELS}; "
    "or leave it out: {case}",
)


@check(
    "D028",
    on="pair",
    level="warning",
    remedy="Look at both together; if they are turned, export the image upright, or the mask with its orientation: {file}",
)
def turned_apart(pair: PairSubject) -> str | None:
    """An image is turned by its EXIF orientation and its mask is not, or the other way round."""
    first, second = pair.first.turn, pair.second.turn
    if first == second or not is_picture(pair.first.path) or not is_picture(pair.second.path):
        return None
    width, height = pair.first.array.shape[:2]
    if (first in QUARTERS) != (second in QUARTERS) and width != height:
        return None  # a mask that was not drawn upright would have the edges exchanged, which is another fault
    return (
        f"the EXIF orientation of {pair.first.path.name} is {first}, its own {second}; both are read upright, which is right "
        "only if the mask was drawn on the upright picture"
    )
