"""Of which domain a case is."""

from __future__ import annotations

from typing import Any

import pytest

from monai_hybrid.transforms import NameDomaind


@pytest.mark.parametrize(
    ("default", "case", "domain"),
    [
        (0, {}, 0),  # pretraining: of the data set, with a label or without
        (0, {"domain": 1}, 1),  # a scan of `unlabelled_dir`
        (1, {}, 1),  # fine-tuning
        (1, {"replayed": True}, 0),  # a case of the source that goes on to be seen
        (1, {"replayed": False}, 1),
    ],
)
def test_a_case_is_of_its_own_domain_or_of_the_usual_one(default: int, case: dict[str, Any], domain: int) -> None:
    assert NameDomaind(default)({"image": 3, **case}) == {"image": 3, **case, "domain": domain}
