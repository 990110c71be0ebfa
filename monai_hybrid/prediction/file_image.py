"""The image of a prediction as its file holds it, before anything was resampled or scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from monai.transforms import LoadImage

from monai_hybrid.transforms import CaseReader

Array = npt.NDArray[Any]


class FileImage:
    """Reads the file, or the files, of a case anew.

    Args:
        cases: of the run: {"case_id", "image"}; one name, or several channel files.
        colour: which colours of pictures are the channels.
        spatial_dims: of the model.
    """

    def __init__(
        self, cases: Sequence[Mapping[str, Any]], colour: str | Sequence[str] | None = None, spatial_dims: int | None = None
    ) -> None:
        reader = CaseReader(colour, spatial_dims)
        self.cases, self.coloured = cases, reader.colour is not None and len(reader.colour) == 3
        self.load = LoadImage(reader=reader, ensure_channel_first=True, image_only=True)

    def names(self, output: Mapping[str, Any]) -> list[str]:
        """Of the files, one a channel. DICOM series are read from the NIfTI files that were made of them for this run."""
        case = next((case for case in self.cases if case.get("case_id") == output["case_id"]), {})
        listed = case.get("image")
        if isinstance(listed, (list, tuple)):
            return [str(name) for name in listed]
        return [str(output["pred"].meta["filename_or_obj"])]

    def channels(self, output: Mapping[str, Any]) -> Array:
        """(C, X, Y[, Z]) float32 in the voxel order of the file, as the prediction is.

        Raises:
            DataError: it cannot be read any more.
        """
        names = self.names(output)
        return np.asarray(self.load(names if len(names) > 1 else names[0]))
