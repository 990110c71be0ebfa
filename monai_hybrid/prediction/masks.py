"""What is written of a case: for images as they come a mask on their grid, for DICOM series a DICOM-SEG."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform

from data_prep.label_file import NAME as NAMES
from data_prep.label_file import write_label_file
from monai_hybrid import __version__
from monai_hybrid.catalogue.naming import model_path
from monai_hybrid.inferers.native_grid import SaveOnInputGridd, refuse_of_others
from monai_hybrid.prediction.table import DIGITS, file_hash
from monai_hybrid.reporting.figures import BACKGROUND, LABEL_COLOURS

NAME = "monai_hybrid"


class SaveMasksd(MapTransform):
    """Write predicted masks under `output_dir`: `<case_id>_<postfix>.dcm` where "series" names a DICOM series, else as
    `SaveOnInputGridd` does.

    Args:
        keys: predictions, (1, X, Y[, Z]) class index on the input's grid.
        output_dir: made when it is missing.
        labels: of the model's card: {"name", "value", "index"}, background first; segment n is the label of index n.
        model: the weights file; its hash is written into the DICOM-SEG.
        codes: of the model's card, label name -> code; see `data_prep.dicom.codes.segment_code`.
        output_postfix: appended to the case id.
        also_nifti: write the NIfTI mask of a DICOM series too.

    Raises:
        DataError: the prediction is not on the input's grid, or a file of somebody else's is in its place; nothing is written.
    """

    def __init__(
        self, keys: Any, output_dir: str, labels: Sequence[Mapping[str, Any]], model: str,
        codes: Mapping[str, Any] | None = None, output_postfix: str = "seg", also_nifti: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(keys)
        self.on_grid = SaveOnInputGridd(keys, output_dir, [int(label["value"]) for label in labels], output_postfix)
        self.labels = coloured([(int(label["value"]), str(label["name"])) for label in labels])
        self.names, self.codes = [str(label["name"]) for label in labels][1:], codes
        self.folder, self.postfix, self.also_nifti = Path(output_dir), output_postfix, also_nifti
        self.model = Path(model_path(model))
        self._hash = ""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write each key; the path is added as "<key>_file", that of a further NIfTI mask as "<key>_nifti".

        `labels.txt` beside the masks says what their values mean.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        names = self.folder / NAMES
        known = names.exists()
        write_label_file(self.folder, self.labels)
        try:
            return self._saved(dict(data))
        except BaseException:
            if not known:  # nothing is left of a first case that failed
                names.unlink(missing_ok=True)
            raise

    def _saved(self, d: dict[Hashable, Any]) -> dict[Hashable, Any]:
        if d.get("series") is None:
            return self.on_grid(d)
        for key in self.key_iterator(d):
            path = self._seg(d, key)
            if self.also_nifti:
                try:
                    d[f"{key}_nifti"] = self.on_grid(d)[f"{key}_file"]
                except BaseException:
                    path.unlink(missing_ok=True)
                    raise
            d[f"{key}_file"] = str(path)
        return d

    def _seg(self, d: Mapping[Hashable, Any], key: Hashable) -> Path:
        from data_prep.dicom.codes import segment_code
        from data_prep.dicom.seg_write import Algorithm, is_own_seg, write_seg

        target = self.folder / f"{d['case_id']}_{self.postfix}.dcm"
        refuse_of_others(target, is_own_seg)
        mask = torch.as_tensor(d[key])[0].cpu().numpy()
        mask = mask if mask.dtype.kind in "iu" else np.rint(mask).astype(np.int16)
        mask = mask[:, :, None] if mask.ndim == 2 else mask  # a model of pictures takes a series of one slice
        self._hash = self._hash or file_hash(self.model)[:DIGITS]
        algorithm = Algorithm(NAME, __version__, self._hash, {"model": f"sha256 {self._hash}"})
        segments = [(name, segment_code(name, self.codes)) for name in self.names]
        self.folder.mkdir(parents=True, exist_ok=True)
        return write_seg(mask, d["series"], segments, algorithm, target)


def coloured(labels: Sequence[tuple[int, str]]) -> list[tuple[int, str, str]]:
    """Value, name and colour of each label, background first, in the colours of all tables and pictures of this project."""
    colours = [BACKGROUND, *(LABEL_COLOURS[index % len(LABEL_COLOURS)] for index in range(len(labels) - 1))]
    return [(value, name, colour) for (value, name), colour in zip(labels, colours, strict=True)]
