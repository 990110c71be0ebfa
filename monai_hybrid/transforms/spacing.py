"""Resampling that leaves the other entries of a case alone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import Spacingd


class SafeSpacingd(Spacingd):
    """`Spacingd`, but keys such as "image_path" survive.

    Since MONAI 1.5 Spacingd treats every key that begins with "<key>_" as a metadata dictionary and calls `.update` on it, so a
    string there (MONAI Label always adds "image_path") raises. The strings are set aside during the call.
    """

    def __call__(self, data: Mapping[Hashable, Any], lazy: bool | None = None) -> dict[Hashable, Any]:
        d = dict(data)
        prefixes = tuple(f"{key}_" for key in self.keys)
        aside = {k: d.pop(k) for k in list(d) if str(k).startswith(prefixes) and not isinstance(d[k], dict)}
        return {**super().__call__(d, lazy=lazy), **aside}
