"""The exported segmenter in 8 bits: that the file computes what it should, and how Dice is counted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.speed import int8
from monai_hybrid.exporting.program import INPUT, OUTPUT


def write(weight: Tensor, path: Path) -> None:
    """A convolution and an activation as ONNX, for windows of 12 x 12."""
    onnx = pytest.importorskip("onnx")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Conv", [INPUT, "weight"], ["between"], pads=[1, 1, 1, 1]),
        make.make_node("Relu", ["between"], [OUTPUT]),
    ]
    ends = [make.make_tensor_value_info(name, kind, [1, k, 12, 12]) for name, k in ((INPUT, 1), (OUTPUT, 2))]
    graph = make.make_graph(nodes, "two", ends[:1], ends[1:], [onnx.numpy_helper.from_array(weight.numpy(), "weight")])
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10), str(path))


def test_a_quantised_file_gives_nearly_the_same_of_any_number_of_windows(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    windows, weight = [torch.rand(1, 12, 12) * 2 - 1 for _ in range(4)], torch.randn(2, 1, 3, 3)
    write(weight, tmp_path / "plain.onnx")
    small = int8.quantised(tmp_path / "plain.onnx", tmp_path / "int8.onnx", windows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8.onnx", "plain.onnx"]
    batch = torch.stack(windows)
    expected = torch.conv2d(batch, weight, padding=1).relu()
    assert torch.allclose(int8.session(tmp_path / "plain.onnx", 1)(batch), expected, atol=1e-5)
    difference = (int8.session(small, 1)(batch) - expected).abs().max()
    assert 0 < float(difference) < 0.05 * float(expected.max())


def test_dice_is_the_mean_over_structures_that_label_or_mask_holds() -> None:
    label = torch.zeros(1, 8, 8)
    label[0, :4] = 1
    image = torch.where(label == 1, 1.0, -1.0)
    parts = SimpleNamespace(
        prepare=lambda case: {"image": image},
        load_label=lambda d: {**d, "label": label},
        inferer=SimpleNamespace(roi_size=(8, 8), overlap=0.5),
        structures=["there", "nowhere"],
    )

    def upper_quarter(windows: Tensor) -> Tensor:
        logits = torch.cat([-windows, windows, torch.full_like(windows, -9)], 1)
        logits[:, 1, 2:] = -9
        return logits

    found = int8.dice(parts, [{"case_id": "a", "label": "a"}], upper_quarter)  # type: ignore[arg-type]
    assert found == {"a": pytest.approx(2 * 16 / (16 + 32))}


def test_windows_end_with_none() -> None:
    windows = int8.Windows([torch.ones(1, 2, 2)])
    first = windows.get_next()
    assert first is not None and np.array_equal(first[INPUT], np.ones((1, 1, 2, 2), np.float32))
    assert windows.get_next() is None


def test_the_table() -> None:
    row = {"name": "int8", "milliseconds": 2.0, "ratio": 0.5, "dice": 0.9, "change": -0.01, "spread": 0.0}
    told = int8.text({"machine": {"threads": 1}, "rows": [row]})
    assert told.splitlines()[-1] == "| int8 | 2.0 | 0.50 | 0.9000 | -0.0100 |"
