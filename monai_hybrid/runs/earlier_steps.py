"""Settings of earlier versions that give the same numbers as those of now, so that a run may go on: names and steps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from monai_hybrid.earlier_names import named_as_now
from monai_hybrid.settings import FREE

STEPS, RANDOM_STEPS = "train#deterministic_transforms#", "train#random_transforms#"
# Digests of the steps that the bundles had -> of those they have. 0.1 read image and label in one step and mapped the values
# afterwards; a plan of then has no `resampling`, so that its images are still sampled. Later ones padded both in one step, and
# knew no voxels that nobody annotated: without any, the steps of now do the same. The last padded every label by the target's
# ignore value: with one data set, the steps of now do the same.
SAME = {
    ("d1564be74479545c", "725aff3c6d96032c"),  # hybrid_pretrain, 0.1
    ("5e0013611dce4b54", "725aff3c6d96032c"),  # later
    ("594d699f53bb97dd", "725aff3c6d96032c"),  # the last
    ("5244df8f200d9336", "9c80c6cf77524d2a"),  # few_shot_finetune, 0.1
    ("405aa7b827d353df", "9c80c6cf77524d2a"),  # later
    ("76e0f5fc3f310cbd", "9c80c6cf77524d2a"),  # the last
}
# The same for the random steps. Affine and elastic map were applied one after the other by MONAI's own; now the same maps are
# joined and the patch is resampled once. The draws are the same ones, the images a little sharper.
# The last of before knew no domains: without any, no step of now looks at them.
SAME_DRAWS = {
    ("b23ce0ea67f2b036", "958e987e697bc0c1"),  # hybrid_pretrain, the last
    ("9a00d54461bfdf42", "3fc0fd1b16996e65"),  # of random shapes, the last
    ("54f0894becdc70ad", "7f0196950ec4aff3"),  # few_shot_finetune
    ("55822a4b0824cbcf", "7f0196950ec4aff3"),  # the last
}
# Values that do the same: their name, what they were, what they may be now.
RATE = '"$runs.kept_rate(@output_dir, @resume, @origin.learning_rate)"'
SIZES = "spatial_dims=@spatial_dims, in_channels=@num_channels, num_classes=@num_classes"
WHOLE_EPOCHS = '"$@max_epochs * @updates_per_epoch"'
SAME_VALUES = (
    # once one rate for every start; a run goes on at the rate that its optimizer has kept, see `kept_rate`
    ("learning_rate", "0.0003", RATE),
    # without `layer_decay`, as by default; with it the groups far from the head fell too little
    ("lr_scheduler#end_lr", '"$0.01 * @learning_rate"', '"$few_shot.last_rate(@learning_rate, @layer_decay)"'),
    # where every voxel is annotated
    ("validate#postprocessing#_target_", '"AsDiscreted"', '"monai_hybrid.transforms.DiscreteAnnotatedd"'),
    # without `domain_label`
    (
        "network_args",
        f"\"$dict(@data.plan['network'], {SIZES})\"",
        f"\"$dict(@data.plan['network'], {SIZES}, **({{'num_domains': 2}} if @domain_label else {{}}))\"",
    ),
    # the file of a model, which once had to be given itself
    ("starting_network#path", '"@pretrained"', '"@start_file"'),
    ("checkpoint#model", '"@pretrained"', '"@start_file"'),
    ("card#reference#pretrained", '"@pretrained"', '"@start_file"'),
    # where the last epoch is a whole one, as every one was
    ("lr_scheduler#t_total", WHOLE_EPOCHS, '"$@updates or @max_epochs * @updates_per_epoch"'),
    ("lr_scheduler#t_total", WHOLE_EPOCHS, '"$runs.total_updates(@updates, @max_epochs, @updates_per_epoch)"'),
    (
        "train#trainer#max_epochs",
        '"@max_epochs"',
        '"$-(-@updates // @updates_per_epoch) if @updates else @max_epochs"',
    ),
)

# Settings that came later, at the value with which the training is what it was, and what the configuration says of them.
LATER = (
    (
        {"source_replay": "null", "replay_share": "0.5", "match_appearance": '"none"'},
        ("replayed_cases#", "train#appearance#", "train#sampler#replay_share", "unlabelled_cases#to_look_at"),
    ),
    (
        {"self_training": "false", "self_training_weight": "1.0"},
        ("train#teacher#", "train#views#", "train#prepare_batch#teacher", "unlabelled_cases#self_training"),
    ),
    ({"keep_folds": "false"}, ()),
    ({"domain_label": "false"}, ()),
)
# Where an update was one batch, as it is without `accumulation_steps`: what the configuration said, and says of it now.
COUNTED = "train#trainer#accumulation_steps"  # by MONAI, whose iteration is a batch
BATCH_SIZE = ("train#dataloader#batch_size", "train#handlers#0#batch_size")
SAMPLES = ("train#sampler#num_samples", "train#draws#num_samples")
ONE_BATCH = {
    COUNTED: '"@accumulation_steps"',
    **dict.fromkeys(BATCH_SIZE, '"@batch_size"'),
    **dict.fromkeys(SAMPLES, '"$@updates_per_epoch * @batch_size"'),
}
SEVERAL = ("train#trainer#iteration_update#", "train#update_size", *BATCH_SIZE, *SAMPLES)
# Came later, and change nothing: where a folder of DICOM is written, the model whose weights a checkpoint is held to and its
# file, a part of the network that only a plan of now can ask for (plans are compared as well), and `domain_label`.
HARMLESS = (
    "unlabelled_cases#output_dir",
    "checkpoint#model",
    "start_file",
    "network_def#refinement",
    "network_def#num_domains",
    "unlabelled_cases#domain_label",
    "validate#segmenter#domain",
)
LISTS = ("train#preprocessing#transforms", "train#dataset#data")  # which name the later parts, empty by default


def digest_of_steps(settings: Mapping[str, str], steps_of: str = STEPS) -> str:
    """Of the steps among flat settings, 16 hexadecimal digits; `steps_of` is `STEPS` or `RANDOM_STEPS`."""
    steps = {name.removeprefix(steps_of): value for name, value in settings.items() if name.startswith(steps_of)}
    return hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()[:16]


def as_now(saved: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Saved settings, flat, with the names of now, and the steps of `now` where both are known to give the same numbers."""
    saved = _with_later(name_by_name({name: value for name, value in saved.items() if name not in FREE}), now)
    for name, was, is_now in SAME_VALUES:
        if saved.get(name) == was and now.get(name) == is_now:
            saved[name] = is_now
    saved = _with_updates_of_several_batches(saved, now)
    for steps, same in ((STEPS, SAME), (RANDOM_STEPS, SAME_DRAWS)):
        if (digest_of_steps(saved, steps), digest_of_steps(now, steps)) in same:
            kept = {name: value for name, value in saved.items() if not name.startswith(steps)}
            saved = kept | {name: value for name, value in now.items() if name.startswith(steps)}
    return saved


def _with_updates_of_several_batches(saved: dict[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Saved settings of a run whose updates were one batch, as they are said now; others stay, and are refused."""
    if COUNTED not in saved or COUNTED in now or saved.get("accumulation_steps") != "1":
        return saved
    kept = {name: value for name, value in saved.items() if ONE_BATCH.get(name) != value}
    return kept | {name: value for name, value in now.items() if name.startswith(SEVERAL) and name not in kept}


def name_by_name(saved: Mapping[str, str]) -> dict[str, str]:
    """Saved settings with the names that classes and functions have now."""
    return {name: named_as_now(value) for name, value in saved.items()}


def _with_later(saved: dict[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Settings that were saved before `LATER` was there, with it, at the values that leave the training what it was."""
    saved = {name: now[name] for name in HARMLESS if name in now} | saved
    for settings, parts in LATER:
        if not any(name in saved for name in settings) and any(name in now for name in settings):
            lists = LISTS if parts else ()
            saved |= settings | {name: value for name, value in now.items() if name in lists or name.startswith(parts)}
    return saved
