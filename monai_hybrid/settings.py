"""The settings of the bundles, each once: its kind, its meaning, and whether it may change when a run goes on.

The checks of values, what a resumed run may change, the options of `monai-hybrid` and their help follow from this table. Which
configuration has a setting, and its default, stand in the bundles' JSON. Imports neither torch nor MONAI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from monai_hybrid.tracking import TRACKING_SETTINGS

Test = Callable[[float], bool]
RANGES: dict[str, tuple[str, Test]] = {
    "count": ("a whole number >= 1", lambda x: x >= 1 and x % 1 == 0),
    "count or none": ("a whole number >= 0", lambda x: x >= 0 and x % 1 == 0),
    "positive": ("a number > 0", lambda x: x > 0),
    "not negative": ("a number >= 0", lambda x: x >= 0),
    "share": ("a number from 0 to 1", lambda x: 0 <= x <= 1),
    "positive share": ("a number > 0 and <= 1", lambda x: 0 < x <= 1),
    "part": ("a number >= 0 and < 1", lambda x: 0 <= x < 1),
    "inner part": ("a number > 0 and < 1", lambda x: 0 < x < 1),  # of ignite's average
}
SYNTHETIC = {"synthetic": 3, "synthetic-2d": 2}  # in the place of a data set: random shapes, and their dimensions
PATH_KINDS = ("folder", "file", "model", "image", "place")
PLAIN_KINDS = ("flag", "word", "voxels", "mm", "device", "text", "names", "timesteps", "colours")
METAVARS = {
    "count": "N", "count or none": "N", "voxels": "[X,Y,Z]", "mm": "[X,Y,Z]", "flag": "True|False", "timesteps": "[T,...]",
    "folder": "FOLDER", "place": "FOLDER", "file": "FILE", "model": "FILE", "image": "PATH", "names": "{NEW: OLD}",
    "device": "DEVICE", "text": "TEXT", "colours": "grey|green|red,green",
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A top-level name of a configuration that a user may set with `--name value`.

    Attributes:
        name: as in the JSON.
        kind: a key of `RANGES`, one of `PATH_KINDS` or one of `PLAIN_KINDS`. "folder", "file", "model" and "image" must be
            there; a "place" is made.
        meaning: one line.
        free: may change between the parts of a resumed run.
        words: what a "word" may be; for other kinds words that are taken as well.
        default: for the help, where the JSON computes the default.
        none: None is a value that means something, as it does for every path.
    """

    name: str
    kind: str
    meaning: str
    free: bool = False
    words: tuple[str, ...] = ()
    default: str = ""
    none: bool = False

    @property
    def may_be_none(self) -> bool:
        """Whether a configuration may say null, whatever its default is."""
        return self.none or self.kind in PATH_KINDS

    @property
    def option(self) -> str:
        """As it is typed: --max-epochs; with underscores it is the same."""
        return "--" + self.name.replace("_", "-")

    @property
    def metavar(self) -> str:
        """What stands for the value in the help."""
        return "|".join(self.words) if self.kind == "word" else METAVARS.get(self.kind, "NUMBER")


def _rows() -> Iterator[Setting]:
    yield from _data_and_places()
    yield from _objective()
    yield from _length_and_optimizer()
    yield from _machine()
    yield from _fine_tuning()
    yield from _use()


def _data_and_places() -> Iterator[Setting]:
    s = Setting
    without = "prepared or raw data set; none: the built-in phantom; synthetic: random shapes without end"
    yield s("dataset_dir", "folder", without, free=True, words=tuple(SYNTHETIC))
    yield s("output_dir", "place", "folder for the results", True, default="runs/...; without data of yours the bundle's own")
    yield s("bundle_root", "folder", "the bundle's own folder", free=True, default="where it lies")
    yield s("unlabelled_dir", "folder", "images without labels, used in the denoising term and in self-training")
    told = "the network is told which scans lie in unlabelled_dir; before it is adapted, it takes every scan for one of these"
    yield s("domain_label", "flag", told)
    yield s("labelled_share", "positive share", "smallest share of labelled samples where unlabelled ones outnumber them")
    yield s("budget", "word", "size of the plan of a raw folder", words=("cpu", "gpu"), default="by device")
    yield s("batch_size", "count", "samples in an update", default="the plan's")
    yield s("patch_size", "voxels", "size of a patch", default="the plan's")
    yield s("spacing", "mm", "voxel size of the grid on which the network works", default="the plan's")
    yield s("augment", "flag", "random shapes (in fine-tuning also grey values) while training")
    contrasts = ("none", "histogram", "gin", "True", "False")
    yield s("contrast_randomisation", "word", "random contrasts, for a target of another modality", words=contrasts)


def _objective() -> Iterator[Setting]:
    s, weights = Setting, ("uniform", "min_snr", "alpha_bar")
    arms = ("hybrid", "supervised", "diffusion", "noisy_supervised", "two_pass")
    yield s("objective", "word", "what the network learns", words=arms)
    yield s(
        "prediction_type", "word", "what the image channels predict", words=("epsilon", "v", "sample"), default="the model's"
    )
    yield s("noise_schedule", "word", "how noise grows with t", words=("cosine", "linear"), default="the model's")
    yield s("num_timesteps", "count", "steps T of the forward process", default="the model's")
    yield s("clean_fraction", "share", "share of the labelled inputs that are exactly clean", default="the objective's")
    yield s("lambda_mask", "not negative", "weight of the mask term on noisy inputs")
    yield s("lambda_clean", "not negative", "weight of the mask term on clean inputs")
    yield s("mask_loss", "word", "loss of the mask term", words=("dice_ce", "ce", "mse"))
    yield s("image_weight", "word", "how the image term is weighted over noise levels", words=weights)
    yield s("mask_weight", "word", "how the mask term is weighted over noise levels", words=weights)


def _length_and_optimizer() -> Iterator[Setting]:
    s = Setting
    yield s("max_epochs", "count", "length in epochs, in the place of --updates", free=True, default="by updates")
    yield s("updates_per_epoch", "count", "updates in an epoch, whatever the number of cases")
    yield s("val_interval", "count", "epochs between validations")
    rates = "0.0003; 0.003 for a start of random shapes"
    yield s("learning_rate", "positive", "highest learning rate of AdamW", default=rates)
    yield s("weight_decay", "not negative", "weight decay of AdamW")
    yield s("warmup_updates", "count or none", "updates in which the learning rate rises")
    yield s("gradient_clip", "not negative", "largest norm of the gradient")
    yield s("accumulation_steps", "count", "batches in an update")
    yield s("ema_decay", "inner part", "how much of the averaged weights stays at each update; 0.001 for next to no averaging")


def _machine() -> Iterator[Setting]:
    s = Setting
    yield s("device", "device", "cpu, cuda or cuda:1", free=True, default="CUDA if there")
    yield s("backend", "word", "how processes talk", free=True, words=("nccl", "gloo"), default="nccl with CUDA")
    yield s("amp", "flag", "mixed precision", default="where it pays")
    yield s("compile", "flag", "torch.compile; needs a C++ compiler")
    yield s("use_checkpointing", "flag", "less memory, about a fifth more time")
    yield s("cache_rate", "share", "share of volumes kept in memory", free=True)
    yield s("cache_dir", "place", "folder for resampled volumes, for data sets larger than memory", free=True)
    yield s("num_workers", "count or none", "loader processes", free=True, default="0; up to 6 with CUDA")
    yield s("progress_bar", "flag", "a bar on a terminal, lines elsewhere", free=True)
    yield s("verbose", "flag", "show all lines of the log, those of MONAI as well", free=True)
    yield s("log_interval", "count", "updates between lines and scalars", free=True)
    yield s("picture_interval", "count or none", "epochs between pictures; 0: none", free=True)
    yield s("checkpoint_interval", "count or none", "epochs between checkpoints; 0: only when a signal ends the run", free=True)
    yield s("resume", "flag", "go on from the newest checkpoint in the output folder", free=True)
    yield s("overwrite", "flag", "begin anew where an earlier run lies; in a prediction: redo finished cases", free=True)
    yield s("seed", "count or none", "seed of all random numbers")
    yield s("deterministic", "flag", "the same seed gives the same weights on one CPU")


def _fine_tuning() -> Iterator[Setting]:
    s, trainable = Setting, ("all", "decoder", "head", "low_rank", "norm")
    start = "model to start from: a file, the folder of a run or a name; auto: the nearest"
    yield s(
        "pretrained", "model", start, words=("scratch", "none", "auto"), default="the universal one of the data's dimensions"
    )
    yield s("plan_from", "model", "with --pretrained scratch: a model whose network and plan are used")
    yield s("label_map", "names", "renamed labels, target name to source name")
    yield s("minimum_share", "share", "share of the weights that must come from the model")
    yield s("allow_partial", "flag", "leave out tensors of another shape")
    yield s("shots", "count or none", "labelled patients to use; 0: scans without labels alone", none=True)
    yield s("unlabelled", "flag", "use the other training images in the denoising term")
    yield s("self_training", "flag", "images without labels get masks from the averaged network, and are learnt from")
    yield s("self_training_weight", "not negative", "weight of self-training, once it has risen")
    yield s("source_replay", "folder", "prepared source whose labelled cases are shown while adapting")
    yield s("replay_share", "inner part", "share of the samples that come from the source")
    looks = ("none", "histogram", "fourier")
    yield s("match_appearance", "word", "source images take the grey values of the target's scans", words=looks)
    yield s("trainable", "word", "which weights change", words=trainable)
    yield s("low_rank", "count", "rank of the updates, with --trainable low_rank")
    yield s("layer_decay", "positive share", "factor on the learning rate for each stage further from the output")
    yield s("teacher", "file", "model whose masks are learnt: a file, the folder of a run or a name")
    yield s("student_width", "count", "channels of the student's first level, a multiple of 8; the others have twice as many")
    yield s(
        "student_grid",
        "word",
        "grid of the student; refined: half with a thin layer on the full one. Each later one is slower",
        words=("half", "refined", "full"),
    )
    yield s("label_weight", "not negative", "weight of the labels beside the teacher's probabilities")
    yield s("sampled_pairs", "count or none", "images that a hybrid teacher draws itself, to learn from as well")
    yield s("updates", "count", "length, to the update", free=True, default="200 + 50 a labelled patient, at most 600")
    yield s("stopping", "word", "what ends the training", words=("budget", "leave_one_out"))
    yield s("keep_folds", "flag", "keep the weights of leave_one_out, for calibrate")
    yield s("validation", "flag", "score the validation list while training")


def _use() -> Iterator[Setting]:
    s, splits = Setting, ("training", "validation", "testing", "all")
    yield s("model", "file", "model.pt or model.safetensors of a training run", default="the bundle's own")
    yield s("input", "image", "an image, a folder, or a prepared data set (its test cases)")
    yield s("bids_filter", "text", "of a BIDS data set, which contrast: suffix=T1w,acq=mprage; channels: suffix=T1w+FLAIR")
    yield s("split", "word", "which cases of a prepared data set", words=splits)
    yield s("source_dir", "folder", "prepared source data set, to score what adapting cost there")
    tolerance = "tolerance of the surface Dice in mm; pixels where no spacing is known"
    yield s("nsd_tolerance", "positive", tolerance, default="2, at most three voxels")
    yield s("masks", "folder", "masks to score in the place of a model, of any program or reader")
    yield s("mask_labels", "text", 'what the values of the masks mean: "1=LV,2=RV"', default="what lies beside them says")
    yield s("without_mask", "word", "what becomes of cases that have no mask", words=("refuse", "leave_out"))
    yield s("save_slices", "flag", "keep one slice of each case, for the report")
    yield s("precision", "word", "number type of the network", words=("auto", "float32", "bfloat16"))
    yield s("timesteps", "timesteps", "noise levels whose masks are averaged")
    yield s("colour", "colours", "which colours of pictures are the channels", default="the card's")
    yield s("overlap", "part", "share of a window that its neighbour covers too")
    yield s("sw_batch_size", "count", "windows in one call of the network")
    yield s("output_postfix", "text", "ending of a mask's name")
    yield s(
        "series",
        "text",
        'DICOM series to take: UID, number, "T1*", EchoTime=2.5; of several channels "T1:3;FLAIR:4"',
        default="all",
    )
    yield s("accept", "text", "judgements of the checks that you overrule: D103,D107", default="those of the training data")
    yield s("also_nifti", "flag", "write masks of DICOM series as NIfTI too, beside the DICOM-SEG")
    yield s("save_probabilities", "flag", "write probabilities")
    yield s("save_entropy", "flag", "write entropy maps")
    yield s("statistics", "flag", "write size and mean intensity of each structure: statistics.csv and .json")
    yield s("preview", "flag", "write a picture a case: the mask on three planes, or on the picture")
    yield s("denoising_score", "flag", "score how unlike the training images an image is")
    yield s("skip_empty_windows", "flag", "windows of nothing but the smallest value are background")
    yield s(
        "test_time_updates", "count or none", "updates of the denoising term on each image, before it is segmented; 0: none"
    )
    yield s("test_time_learning_rate", "positive", "of these updates")
    yield s("num_samples", "count", "pairs to draw")
    yield s("num_inference_steps", "count", "steps of the sampler")
    yield s("method", "word", "sampler", words=("ode", "sde"))


SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _rows()}
# What the help says otherwise of one configuration: its default is null there as elsewhere, and stands for another thing.
_OTHERWISE: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    ("hybrid_pretrain", "train.json"): {
        "pretrained": {"meaning": "model to start from: a file, the folder of a run or a name", "words": (), "default": "none"},
        "updates": {"default": "max_epochs x updates_per_epoch"},
    },
    ("few_shot_finetune", "evaluate.json"): {
        "pretrained": {
            "meaning": "model before adaptation, for what was forgotten on --source; none: only after",
            "words": ("none",),
            "default": "the one that the model names",
        }
    },
}


def settings_of(bundle: str, config: str | Sequence[str]) -> dict[str, Setting]:
    """`SETTINGS` as a configuration means them, for its help.

    Args:
        bundle, config: which; of several files the first counts.
    """
    others = _OTHERWISE.get((bundle, config if isinstance(config, str) else config[0]), {})
    return {name: replace(setting, **others.get(name, {})) for name, setting in SETTINGS.items()}


# Parts of sections whose numbers are held to a range.
PARTS = {"card#interval": Setting("card#interval", "count", "epochs between saves of the model", free=True)}
# What may change between the parts of a run: its length, where things lie and go, the machine, what is shown.
FREE = frozenset(name for name, setting in SETTINGS.items() if setting.free)
# Arguments of `python -m monai.bundle run` itself.
RUN_ARGUMENTS = frozenset({
    "run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "tracking", "args_file",
    "workflow_name", "workflow_type", "properties_path", "debug", *TRACKING_SETTINGS,
})  # fmt: skip
