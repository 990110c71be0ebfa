"""`monai-hybrid export`: the file gives the model's masks in a program without MONAI, and refuses what cannot be used."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from command_line import typed
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from warm import run_code

import monai_hybrid
from data_prep.phantom import generate
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.exporting import export_model
from monai_hybrid.exporting.program import write_onnx
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.prediction.cases import inspect
from monai_hybrid.transforms.intensity import Normalized
from monai_hybrid.weights import CARD_KEY, SUM_KEY, save_weights

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "docs/how-to/run_exported.py"
PICTURES = ROOT / "docs/how-to/run_exported_pictures.py"
HARD = {"method": "percentiles", "lower": 0.5, "upper": 99.5, "range": [-1, 1]}
SOFT = {"method": "soft_percentiles", "lower": 0.5, "upper": 99.5, "below": 0.0, "above": 2.5}
NETWORK = {"channels": [8, 16], "num_res_blocks": [1, 1], "attention_levels": [False, False], "norm_num_groups": 8}


def made_model(
    folder: Path, dims: int = 3, channels: tuple[str, ...] = ("image",), spacing: float = 3.0, bias: float = 0.0,
    levels: int = 2, **changes: Any,
) -> Path:  # fmt: skip
    """A network of random weights whose masks hold every class, with a card; `changes` go into card and plan."""
    torch.manual_seed(0)
    size = {"spatial_dims": dims, "in_channels": len(channels), "num_classes": 3, "num_head_channels": 8}
    per_level = {name: value[:levels] if isinstance(value, list) else value for name, value in NETWORK.items()}
    network = HybridDiffusionUNet(**per_level, **size)
    with torch.no_grad():
        network.out.mask.conv.bias[0] += bias
    card = {
        "format_version": 1,
        "network": {**per_level, **size},
        "spatial_dims": dims,
        "channels": list(channels),
        "labels": [{"index": i, "value": 7 * i, "name": name} for i, name in enumerate(("background", "grey", "white"))],
        "plan": {"normalization": HARD, "resampling": "area"},
        "training": {"objective": "hybrid", "prediction_type": "v", "patch_size": [16] * dims, "spacing": [spacing] * dims},
    }
    card["plan"] |= changes.pop("plan", {})
    card["training"] |= changes.pop("training", {})
    save_weights(network.state_dict(), folder, {**card, **changes})
    return folder / "model.safetensors"


def run_without_monai(model: Path, mask: Path, *images: Path, program: Path = RUNNER) -> np.ndarray:
    """A runner of the documentation, where monai and monai_hybrid cannot be imported, and of torch and ONNX Runtime one."""
    blocked = ["monai", "monai_hybrid", "data_prep", "torch" if model.suffix == ".onnx" else "onnxruntime"]
    block = f"""
import sys, runpy
for name in [name for name in sys.modules if name.split(".")[0] in {blocked!r}]:
    del sys.modules[name]
sys.modules.update(dict.fromkeys({blocked!r}))
sys.path[0] = {str(program.parent)!r}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    done = run_code(block, list(map(str, (program, model, mask, *images))), mask.parent, environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return values(mask)


def values(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file)) if file.suffix == ".png" else np.asarray(nib.load(file).dataobj)


def volume(
    path: Path, seed: int = 0, shape: tuple[int, ...] = (27, 21, 24), axes: str = "LPS", zooms: tuple[float, ...] = (2, 2.5, 2)
) -> Path:
    """Smooth noise with bright spots, turned and scaled as asked, as float32 with an oblique-free affine."""
    rng = np.random.default_rng(seed)
    from scipy.ndimage import gaussian_filter

    array = gaussian_filter(rng.normal(size=shape), [1.5] * 3 + [0] * (len(shape) - 3)) * 100 + 50
    array[3:5, 3:5, 3:5] += 300
    order = nib.orientations.axcodes2ornt(axes)
    affine = np.diag([*zooms, 1.0]) @ nib.orientations.inv_ornt_aff(order, shape[:3])
    image = nib.Nifti1Image(array.astype(np.float32), affine)
    nib.save(image, path)
    return path


def pictured(path: Path, mode: str, seed: int = 0) -> Path:
    from scipy.ndimage import gaussian_filter

    shape = (37, 45) if mode == "L" else (37, 45, 3)
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), [2, 2, 0][: len(shape)])
    Image.fromarray((128 + 500 * noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(autouse=True, scope="module")
def written_once() -> Iterator[None]:
    """One network as ONNX is written once: seconds each. What differs between its models is said beside the file."""
    written: dict[str, bytes] = {}

    def write(network: torch.nn.Module, window: torch.Tensor, path: Path) -> None:
        said = [str(network), str(window.shape), *(tensor.numpy().tobytes().hex() for tensor in network.state_dict().values())]
        if (key := " ".join(said)) not in written:
            write_onnx(network, window, path)
            written[key] = path.read_bytes()
        path.write_bytes(written[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monai_hybrid.exporting.write.write_onnx", write)
        yield


def compared(model: Path, folder: Path, images: list[Path], together: bool = False) -> tuple[int, int]:
    """Voxels that differ between the command line's masks and those of the runner with both formats, and all voxels."""
    exported = [folder / "exported.ts", folder / "exported.onnx"]
    for file in exported:
        export_model(model, file)
    source = images[0] if together else images[0].parent
    settings = ["--precision", "float32", "--denoising-score", "False"]
    done = typed("predict", source, "--model", model, "--output", folder / "masks", *settings)
    assert done.returncode == 0, done.stderr[-3000:]
    masks = sorted(file for file in (folder / "masks").iterdir() if "_seg." in file.name and not file.name.startswith("."))
    groups = [images] if together else [[image] for image in sorted(images)]
    assert len(masks) == len(groups)
    different = total = 0
    for (mask, files), program in product(zip(masks, groups, strict=True), exported):
        end = "".join(mask.suffixes)
        runner = PICTURES if end == ".png" or 1 in values(mask).shape else RUNNER
        seen, expected = run_without_monai(program, folder / f"runner{end}", *files, program=runner), values(mask)
        assert seen.shape == expected.shape and seen.dtype == expected.dtype
        assert len(np.unique(expected)) > 1
        if end != ".png":
            np.testing.assert_array_equal(nib.load(folder / f"runner{end}").affine, nib.load(mask).affine)
        different, total = different + int((seen != expected).sum()), total + seen.size
    print(f"{different} of {total} voxels differ")
    return different, total


@pytest.mark.long
@pytest.mark.parametrize("rule", ["area, hard", "sample, soft", "finer, window"])
def test_volumes_get_the_masks_of_the_command_line(tmp_path: Path, rule: str) -> None:
    chosen: dict[str, dict[str, Any]] = {
        "area, hard": {},
        "sample, soft": {"plan": {"normalization": SOFT, "resampling": "sample"}},
        "finer, window": {
            "spacing": 1.7,
            "plan": {"normalization": {"method": "window", "lower": 0, "upper": 120, "range": [-1, 1]}, "resampling": "area"},
        },
    }
    model = made_model(tmp_path / "model", **chosen[rule])
    (tmp_path / "images").mkdir()
    images = [volume(tmp_path / "images/a.nii.gz"), volume(tmp_path / "images/b.nii.gz", 1, (20, 9, 31), "SAR", (1, 3, 3.2))]
    different, total = compared(model, tmp_path, images)
    assert different <= 1e-4 * total, (different, total)


@pytest.mark.long
@pytest.mark.parametrize("form", ["grey", "grey in colours", "colour", "flat volume", "channels"])
def test_pictures_and_channels_get_the_masks_of_the_command_line(tmp_path: Path, form: str) -> None:
    (tmp_path / "images").mkdir()
    images = tmp_path / "images"
    # Where the channels are what is looked at, one level is enough: the ONNX file of a network takes seconds.
    if form == "channels":
        model = made_model(tmp_path / "model", channels=("flair", "t1"), levels=1)
        files = [volume(images / f"case_000{i}.nii.gz", seed=i) for i in range(2)]
    elif form == "colour":
        colours = ("red", "green", "blue")
        model = made_model(tmp_path / "model", 2, colours, spacing=1.0, levels=1, colour=list(colours))
        files = [pictured(images / f"{i}.png", "RGB", i) for i in range(2)]
        exif = Image.Exif()
        exif[0x0112] = 6  # a quarter turn: both look at the picture upright
        Image.open(files[1]).save(files[1], exif=exif)
    else:
        model = made_model(tmp_path / "model", 2, spacing=1.5)
        files = [pictured(images / f"{i}.png", "L", i) for i in range(2)]
        if form == "grey in colours":
            for file in files:
                Image.open(file).convert("RGB").save(file)
        if form == "flat volume":
            (images / "0.png").unlink(), (images / "1.png").unlink()
            noise = values(pictured(tmp_path / "p.png", "L")).T[:, :, None]
            files = [images / "flat.nii.gz"]
            nib.save(nib.Nifti1Image(noise.astype(np.int16), np.diag([-0.7, 0.9, 5, 1])), files[0])
    different, total = compared(model, tmp_path, files, together=form == "channels")
    assert different <= 1e-4 * total, (different, total)


@pytest.mark.slow
def test_twenty_volumes_get_the_masks_of_the_command_line(tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=20, site="B", seed=3)
    images = sorted((tmp_path / "raw/images").glob("*.nii.gz"))
    different, total = compared(made_model(tmp_path / "model", spacing=4.0), tmp_path, images)
    assert len(images) == 20 and different <= 1e-4 * total


def test_the_runners_are_short_and_need_no_monai() -> None:
    for runner, most in ((RUNNER, 70), (PICTURES, 33)):
        lines = [line for line in runner.read_text(encoding="utf-8").splitlines() if line.strip()]
        assert len(lines) <= most and not any("monai" in line for line in lines if line.lstrip().startswith(("import", "from")))


@pytest.mark.parametrize("rule", [HARD, SOFT, SOFT | {"below": 1.5}, {"method": "window", "lower": 3, "upper": 3}])
@pytest.mark.parametrize("kind", ["constant", "one bright voxel", "two greys", "noise"])
def test_the_runner_normalises_as_the_command_line_does(rule: dict[str, Any], kind: str) -> None:
    grey = np.full((12, 10, 9), 7.0, np.float32)
    if kind == "one bright voxel":
        grey[3, 4, 5] = 900
    elif kind == "two greys":
        grey[:6] = 40
    elif kind == "noise":
        grey += np.random.default_rng(0).normal(size=grey.shape).astype(np.float32)
    expected = Normalized("image", rule)({"image": torch.from_numpy(grey[None])})["image"][0].numpy()
    found = runpy.run_path(str(RUNNER))["normalised"](grey, rule)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_grey_model_takes_no_colour_picture_in_either_program(tmp_path: Path) -> None:
    export_model(made_model(tmp_path / "model", 2, spacing=1.0, levels=1), tmp_path / "m.ts")
    with pytest.raises(DataError, match="it is a colour picture; expected one grey value per pixel"):
        inspect(str(pictured(tmp_path / "a.png", "RGB")), channels=1, dims=2)
    command = [sys.executable, PICTURES, tmp_path / "m.ts", tmp_path / "mask.png", tmp_path / "a.png"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "a.png: it is a colour picture; expected one grey value per pixel" in done.stderr
    assert not (tmp_path / "mask.png").exists()


def test_a_runner_takes_no_other_file_than_the_one_described(tmp_path: Path) -> None:
    export_model(made_model(tmp_path / "model"), tmp_path / "m.ts")
    with (tmp_path / "m.ts").open("ab") as handle:
        handle.write(b"x")
    command = [sys.executable, RUNNER, tmp_path / "m.ts", tmp_path / "mask.nii.gz", volume(tmp_path / "a.nii.gz")]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "m.ts: not the file that m.ts.json describes; export the model again" in done.stderr
    assert not (tmp_path / "mask.nii.gz").exists()


def test_the_sidecar_says_all_that_a_prediction_uses(tmp_path: Path) -> None:
    told = export_model(made_model(tmp_path / "model"), tmp_path / "m.ts")
    assert json.loads((tmp_path / "m.ts.json").read_text(encoding="utf-8")) == told
    assert told["preprocessing"] == {"orientation": "RAS", "spacing": [3.0] * 3, "resampling": "area", "normalization": HARD}
    assert told["inference"]["window"] == [16] * 3 and told["inference"]["overlap"] == 0.5
    assert [label["value"] for label in told["labels"]] == [0, 7, 14] and told["channels"] == ["image"]
    assert told["model"]["input_shape"] == [1, 1, 16, 16, 16] and told["model"]["output_shape"] == [1, 3, 16, 16, 16]
    assert str(tmp_path) not in json.dumps(told)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.ts", "m.ts.json", "model"]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    model, output = made_model(tmp_path / "model"), tmp_path / "m.ts"
    (tmp_path / "m.ts.json").write_text("mine")
    with pytest.raises(
        ConfigError, match=r"m\.ts\.json is there already; nothing was written\. Give another name, or --overwrite"
    ):
        export_model(model, output)
    assert (tmp_path / "m.ts.json").read_text() == "mine" and not output.exists()
    export_model(model, output, overwrite=True)
    assert output.is_file() and json.loads((tmp_path / "m.ts.json").read_text())["format_version"] == 1


def test_formats_and_endings_that_are_none_are_refused(tmp_path: Path) -> None:
    model = made_model(tmp_path / "model")
    done = typed("export", "--model", model, "--output", "m.pt")
    said = "error: --output m.pt: expected a name that ends with .ts or .onnx. Type: --output m.onnx"
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    with pytest.raises(ConfigError, match=r"expected a name that ends with \.onnx\. Type: --output m\.onnx"):
        export_model(model, Path("m.ts"), "onnx")
    with pytest.raises(ConfigError, match="--format: got 'tflite', expected torchscript or onnx"):
        export_model(model, Path("m.ts"), "tflite")
    with pytest.raises(ConfigError, match="a folder, expected a file"):
        (tmp_path / "m.ts").mkdir()
        export_model(model, tmp_path / "m.ts")


def test_models_that_are_none_are_refused(tmp_path: Path) -> None:
    done = typed("export", "--model", tmp_path / "none.pt", "--output", tmp_path / "m.ts")
    assert done.returncode == 4 and "none.pt: no such model file" in done.stderr
    model = made_model(tmp_path / "model", training={"patch_size": [15, 16, 16]})
    with pytest.raises(ModelFileError, match=r"training\.patch_size: each spatial size must be a multiple of 2"):
        export_model(model, tmp_path / "m.ts")
    for plan, said in (
        ({"resampling": "magic"}, "preprocessing.resampling: 'magic' is not one of"),
        ({"normalization": {"method": "percentiles", "lower": 0.5, "upper": 400}}, "upper of percentiles is 400"),
    ):
        with pytest.raises(ModelFileError, match=said):
            export_model(made_model(tmp_path / "bad", plan=plan), tmp_path / "m.ts")
    with pytest.raises(ModelFileError, match="these weights belong to another network"):
        export_model(_with_card(made_model(tmp_path / "flat"), spatial_dims=2), tmp_path / "m.ts")
    with pytest.raises(ModelFileError, match=r"spacing: saw \[3\.0, 3\.0\]; expected 3 numbers"):
        export_model(made_model(tmp_path / "short", training={"spacing": [3.0, 3.0]}), tmp_path / "m.ts")
    assert not list(tmp_path.glob("m.ts*")) and not list(tmp_path.glob(".*"))


def _with_card(model: Path, **changes: Any) -> Path:
    """The same weights under a card that somebody has changed."""
    with safe_open(model, framework="pt") as handle:
        told = dict(handle.metadata())
    card = {**json.loads(told[CARD_KEY]), **changes}
    save_file(load_file(model), model, metadata={**told, CARD_KEY: json.dumps(card), SUM_KEY: told[SUM_KEY]})
    return model


def test_weights_of_nan_are_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="its network gives NaN or Inf"):
        export_model(made_model(tmp_path / "model", bias=float("nan")), tmp_path / "m.ts")
    assert not list(tmp_path.glob("m.ts*"))


def test_the_python_api_exports(tmp_path: Path, warm_children: None) -> None:
    written = monai_hybrid.export(made_model(tmp_path / "model"), tmp_path / "m.ts", format="torchscript")
    assert written == tmp_path / "m.ts" and (tmp_path / "m.ts.json").is_file()
    with pytest.raises(ConfigError):
        monai_hybrid.export(tmp_path / "model/model.safetensors", tmp_path / "m.ts")


def test_without_the_extra_onnx_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monai_hybrid.errors import EnvironmentFault

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(EnvironmentFault, match=r'onnxscript is not installed\. Type: pip install "monai-hybrid\[export\]"'):
        export_model(made_model(tmp_path / "model"), tmp_path / "m.onnx")
    assert not list(tmp_path.glob("m.onnx*"))
