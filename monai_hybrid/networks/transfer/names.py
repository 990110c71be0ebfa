"""Which label or channel of a model file stands for which of the network: by name, or by position where there are no names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from data_prep.label_names import alike_name
from monai_hybrid.errors import ConfigError, ModelFileError

Partners = list[int | None]
"""For each target the position of its source, or None for a new one."""

unified = alike_name  # how names are compared


def match_names(
    target: Sequence[str], source: Sequence[str], what: str, renamed: Mapping[str, str | None] | None = None
) -> Partners:
    """Find the source of each target by its name.

    Args:
        target, source: names, in the order of the rows.
        what: "label" or "channel", for messages.
        renamed: target name -> source name, or None for a target that starts fresh; stronger than equal names.

    Raises:
        ModelFileError: two names of one side are the same, once case, spaces, hyphens and underscores count no more.
        ConfigError: `renamed` has a name that the target or the source does not know.
    """
    wanted, known = _positions(target, f"{what}s of the network"), _positions(source, f"{what}s of the model file")
    partners = [known.get(name) for name in wanted]
    for own, other in (renamed or {}).items():
        position = _find(own, wanted, target, f"--{what}_map: {what} of the network")
        partners[position] = None if other is None else _find(other, known, source, f"--{what}_map: {what} of the model file")
    return partners


def match_positions(num_target: int, num_source: int) -> Partners:
    """Target i takes source i, as far as there is one."""
    return [i if i < num_source else None for i in range(num_target)]


def _positions(names: Sequence[str], where: str) -> dict[str, int]:
    positions: dict[str, int] = {}
    for position, name in enumerate(names):
        same = positions.setdefault(unified(name), position)
        if same != position:
            raise ModelFileError(
                f"{where}: {names[same]!r} and {name!r} are the same name (case, spaces, hyphens and underscores do not "
                "count); rename one of them in dataset.json"
            )
    return positions


def _find(name: str, positions: Mapping[str, int], names: Sequence[str], where: str) -> int:
    position = positions.get(unified(name))
    if position is None:
        near = difflib.get_close_matches(unified(name), list(positions), n=1)
        hint = f"did you mean {names[positions[near[0]]]!r}?" if near else f"expected one of {', '.join(names)}"
        raise ConfigError(f"{where}: got {name!r}: {hint}")
    return position
