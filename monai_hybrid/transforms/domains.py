"""Of which domain a case is: the labelled source's, or the target's. A network with domains is told it with each image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import MapTransform

from monai_hybrid.transforms.appearance import REPLAYED

DOMAIN = "domain"  # entry of a case
SOURCE, TARGET = 0, 1


class NameDomaind(MapTransform):
    """Give every case its "domain": its own, that of the source where it is replayed, else `default`.

    Args:
        default: of the cases that nobody has marked.
    """

    def __init__(self, default: int) -> None:
        super().__init__(DOMAIN, allow_missing_keys=True)
        self.default = default

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The case, with a whole number."""
        unmarked = SOURCE if data.get(REPLAYED) else self.default
        return {**data, DOMAIN: int(data.get(DOMAIN, unmarked))}
