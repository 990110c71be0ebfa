"""What the page may ask for: the list, and by the number of a case its image, mask, thumbnail, and the saving of a label."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from pathlib import Path
from typing import Any

from data_prep.errors import DataError
from data_prep.quoting import quoted
from monai_hybrid.gallery.cases import Case, Collection
from monai_hybrid.gallery.thumbnails import thumbnail
from monai_hybrid.gallery.volumes import Stream, grid_of, image_stream, mask_indices
from monai_hybrid.reporting.shared_flags import collection_without, said_once, shared_flags
from monai_hybrid.viewing.labels import LABELS, adapt_line, facts, save_label, saved_label, unpacked

ALL = "all"
PICTURES = 400  # thumbnails kept in memory


class Answers:
    """Answers for one collection.

    Args:
        collection: what is shown.
        labels: folder into which corrected labels go.
    """

    def __init__(self, collection: Collection, labels: Path) -> None:
        rows = [{"flag": case.flag, "status": "done" if case.mask is not None else "failed"} for case in collection.cases]
        self.shared = said_once(rows)  # flags that all masks have, which tell no case from another
        self.collection: Collection = collection_without(collection, shared_flags(rows)) or collection
        self.folder = labels
        self.pictures: OrderedDict[int, bytes] = OrderedDict()

    def listed(self) -> dict[str, Any]:
        """All that the page shows before a case is opened."""
        of = self.collection
        return {
            "title": of.folder.resolve().name,
            "predicted": of.predicted,
            "labels": [vars(label) for label in of.labels],
            "columns": list(of.columns),
            "channels": list(of.channels),
            "coloured": self._coloured,
            "shared": self.shared,
            "cases": [self._line(number, case) for number, case in enumerate(of.cases)],
            **self._saved(),
        }

    @property
    def _coloured(self) -> bool:
        """Whether the channels are colours of pictures, so that all of them can be shown at once."""
        return len(self.collection.colour or ()) == len(self.collection.channels) > 1

    def _line(self, number: int, case: Case) -> dict[str, Any]:
        saved = saved_label(self.folder, case) is not None
        told = {"number": number, "name": case.case_id, "flag": case.flag, "note": case.note, "numbers": dict(case.numbers)}
        return {**told, "saved": saved, "files": len(case.images), "has_mask": case.mask is not None}

    def _saved(self) -> dict[str, Any]:
        """How many labels there are, where, and what to type to use them."""
        there = self.folder / LABELS
        count = (
            sum(not file.name.startswith(".") and file.suffix != ".json" for file in there.iterdir()) if there.is_dir() else 0
        )
        check = f"monai-hybrid check {quoted(self.folder)}"
        return {"count": count, "place": str(there), "check": check, "adapt": adapt_line(self.collection, self.folder, count)}

    def _case(self, number: int) -> Case:
        """The case of a number.

        Raises:
            LookupError: there is none.
            DataError: it cannot be shown.
        """
        case = self.collection.cases[number]
        if case.note:
            raise DataError(f"case {case.case_id}: {case.note}")
        if case.dicom is not None:
            case.dicom.written()
        return case

    def image(self, number: int, channel: str) -> Stream:
        """One channel of an image as NIfTI; "all" colours of a picture."""
        case = self._case(number)
        if channel == ALL:
            return image_stream(case)
        if not channel.isdecimal() or int(channel) >= max(len(self.collection.channels), len(case.images)):
            raise LookupError(channel)
        colour = (self.collection.colour or ())[int(channel)] if self._coloured else None
        return image_stream(case, int(channel), colour)

    def mask(self, number: int, of: str) -> tuple[bytes, dict[str, str]]:
        """Class indices, packed: of the saved label where there is one and nothing else is asked for, else of the mask."""
        case = self._case(number)
        saved = None if of == "predicted" else saved_label(self.folder, case)
        index = mask_indices(self.collection, case, saved or case.mask)
        headers = {"Content-Encoding": "gzip", "X-Shape": ",".join(str(size) for size in index.shape)}
        headers["X-Saved"] = "yes" if saved else "no"
        return gzip.compress(index.tobytes(order="F"), 1, mtime=0), headers

    def thumbnail(self, number: int) -> bytes:
        """PNG of the case, with the label that was saved, else with its mask."""
        if number not in self.pictures:
            case = self._case(number)
            saved = saved_label(self.folder, case)
            mask = mask_indices(self.collection, case, saved) if saved else None
            self.pictures[number] = thumbnail(self.collection, case, mask)
            if len(self.pictures) > PICTURES:
                self.pictures.popitem(last=False)
        return self.pictures[number]

    def save(self, number: int, packed: bytes, who: str, replace: bool) -> dict[str, Any]:
        """Save a drawing as the label of a case; what to say on the page."""
        case = self._case(number)
        size = grid_of(case.images[0]).size
        drawing = unpacked(packed, size[0] * size[1] * size[2])
        if case.dicom is not None:
            case = case.dicom.kept(case, self.folder)
        done = save_label(self.collection, case, self.folder, drawing, who, replace)
        self.pictures.pop(number, None)
        told = {"label": str(done.label), "sidecar": str(done.sidecar), "changed": done.changed}
        return {**told, "facts": facts(self.folder, case), **self._saved()}
