"""The page of settings: what each command's configuration has, from the table of settings and the bundles' JSON."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reference.markdown import code, shown_commands, table
from monai_hybrid.bundle_folders import load_config
from monai_hybrid.command_options import NAMES, default_text
from monai_hybrid.commands import DISTILLING, SCORING, SCORING_MASKS
from monai_hybrid.setting_checks import idle_in
from monai_hybrid.settings import RANGES, Setting, settings_of

# Command -> the configuration that it runs.
CONFIGS: dict[str, tuple[str, str | Sequence[str]]] = {
    "pretrain": ("hybrid_pretrain", "train.json"),
    "adapt": ("few_shot_finetune", "train.json"),
    "distil": ("few_shot_finetune", DISTILLING),
    "evaluate": ("few_shot_finetune", SCORING),
    "evaluate --masks": ("few_shot_finetune", SCORING_MASKS),
    "predict": ("few_shot_finetune", "inference.json"),
    "sample": ("hybrid_pretrain", "sample.json"),
    "torchrun": ("hybrid_pretrain", "multi_gpu_train.json"),  # no command: given beside train.json
}
KINDS = {
    "folder": "a folder that is there", "place": "a folder, made if missing", "file": "a file", "model": "a model",
    "image": "an image or folder", "flag": "True or False", "voxels": "voxels an axis", "mm": "mm an axis",
    "device": "a device", "text": "text", "names": "{new name: old name}", "timesteps": "a list of t", "colours": "colours",
}  # fmt: skip
INTRO = """# Settings

Each is an option of its command: `max_epochs` is `--max-epochs 20` or `--max_epochs 20`. In Python it is a keyword,
`monai_hybrid.pretrain(..., max_epochs=20)`, and behind `python -m monai.bundle run` it is `--max_epochs 20`.
A star marks what may change when a run goes on with `--resume`. Commands without settings: [commands](commands.md).
"""


def page() -> str:
    """The page docs/reference/settings.md."""
    named = {name: getattr(command.callback, NAMES, {}) for name, command in shown_commands()}
    return INTRO + "".join(_section(command, *config, named.get(command.split()[0], {})) for command, config in CONFIGS.items())


def _section(command: str, bundle: str, config: str | Sequence[str], named: dict[str, str]) -> str:
    content = load_config(bundle, config)
    known = settings_of(bundle, config)
    used = [setting for name, setting in known.items() if name in content and name not in idle_in(content)]
    rows = [_row(setting, content[setting.name], named) for setting in used]
    files = " and ".join(f"`bundles/{bundle}/configs/{name}`" for name in ([config] if isinstance(config, str) else config))
    heading = f"\n## {command}\n\n{files}\n\n"
    return heading + table(["setting", "option", "value", "default", "meaning"], rows) + "\n"


def _row(setting: Setting, default: object, named: dict[str, str]) -> list[str]:
    plain = default_text(setting, default)
    shown = plain if default is None or " " in plain else code(plain)
    return [code(setting.name) + " *" * setting.free, _option(setting, named), _kind(setting), shown, setting.meaning]


def _option(setting: Setting, named: dict[str, str]) -> str:
    """As the command spells it; most are called as the setting is."""
    if setting.name not in named:
        return code(setting.option)
    return code(named[setting.name]) or ("the argument" if setting.name == "input" else "behind `monai.bundle run` alone")


def _kind(setting: Setting) -> str:
    words = ", ".join(code(word) for word in setting.words)
    kind = RANGES[setting.kind][0] if setting.kind in RANGES else KINDS.get(setting.kind, "")
    return " or ".join(part for part in (kind, words) if part)
