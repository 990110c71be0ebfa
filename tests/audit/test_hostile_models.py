"""Model files from others: what they say is data, what they hold is tensors, and of no other size than is stored."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from hostile_code import Touch, code

from monai_hybrid.errors import ModelFileError
from monai_hybrid.weights import load_weights, read_card, save_weights


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def test_a_model_card_is_text_and_never_evaluated(tmp_path: Path, marker: Path) -> None:
    """I10: what a card says is data; where a number is due, a text is refused."""
    save_weights({"weight": torch.zeros(1)}, tmp_path, {"source": f"${code(marker)}", "citation": ["<script>1</script>"]})
    card = read_card(tmp_path / "model.safetensors")
    assert card is not None and card["source"] == f"${code(marker)}" and not marker.exists()
    save_weights({"weight": torch.zeros(1)}, tmp_path, {"network": {"channels": f"${code(marker)}"}})
    with pytest.raises(ModelFileError, match=r"its card, network\.channels: saw "):
        read_card(tmp_path / "model.safetensors")
    assert not marker.exists()


def test_a_pickled_model_is_refused_without_being_unpickled(tmp_path: Path, marker: Path) -> None:
    for name, content in (("a.pt", None), ("b.pt", pickle.dumps(Touch(marker)))):
        path = tmp_path / name
        torch.save({"weight": Touch(marker)}, path) if content is None else path.write_bytes(content)
        with pytest.raises(ModelFileError, match=f"{name}: not a readable model file"):
            load_weights(path)
    torch.save({"weight": torch.ones(1)}, tmp_path / "c.pt")
    assert load_weights(tmp_path / "c.pt")["weight"] == 1 and not marker.exists()


def test_a_model_that_unpacks_or_stretches_to_any_size_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1).expand(1 << 40)}, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match=r"a\.pt: weight .* is larger than what is stored of it"):
        load_weights(tmp_path / "a.pt")
    torch.save({"weight": torch.zeros(9)}, tmp_path / "b.pt")
    with zipfile.ZipFile(tmp_path / "b.pt") as old, zipfile.ZipFile(tmp_path / "c.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    with pytest.raises(ModelFileError, match=r"c\.pt: not a readable model file \(its members are compressed"):
        load_weights(tmp_path / "c.pt")
    assert load_weights(tmp_path / "b.pt")["weight"].shape == (9,)
