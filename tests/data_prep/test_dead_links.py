"""An output that is a link to itself or to nowhere is refused in a sentence; one that leads to a folder is that folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.dead_links import refuse_dead_link
from data_prep.errors import ConfigError
from data_prep.places import refuse_among
from monai_hybrid.setting_checks import check_there


@pytest.mark.parametrize("below", ["", "deeper"])
@pytest.mark.parametrize("leads", ["itself", "nowhere"])
def test_a_link_that_leads_nowhere_is_no_place(leads: str, below: str, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link if leads == "itself" else tmp_path / "nowhere")
    said = r"--output.* .*: .*link is a link that leads nowhere\. Type: rm "
    with pytest.raises(ConfigError, match=said):
        refuse_among(link / below, tmp_path)
    with pytest.raises(ConfigError, match=said):
        check_there("output_dir", str(link / below))


def test_a_link_to_a_folder_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    refuse_dead_link(tmp_path / "link")
    check_there("output_dir", str(tmp_path / "link/new"))
