"""DICOM for a model of several channels: which series of a study is which channel. Never guessed: one fits, or it is said."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from monai_hybrid.errors import ConfigError

if TYPE_CHECKING:
    from data_prep.dicom import Series

SHOWN = 8
Study = tuple[str, str]  # PatientID and StudyInstanceUID


def studies(series: Sequence[Series], channels: Sequence[str], words: str | None) -> Iterator[tuple[list[Series], str]]:
    """The series of each study in the order of the channels, or all of it and why they are none.

    A channel is the series that its words name; without words the only one whose description is the channel's name, else
    the only one whose description holds it as a word.

    Args:
        series: of all studies, without those that are no volumes.
        channels: names of the model's channels, in its order.
        words: `CHANNEL:WORDS;CHANNEL:WORDS`, or plain words, among whose series the names choose; see
            `data_prep.dicom.choice.choose`.

    Raises:
        ConfigError: the words name no such channel, or no series.
    """
    from data_prep.dicom.choice import choose

    stated = per_channel(words, channels)
    among = choose(series, words) if not stated else series
    fitting = {name: choose(series, text) for name, text in stated.items()}
    whole: dict[Study, list[Series]] = defaultdict(list)
    for one in among:
        whole[_study(one)].append(one)
    for study, there in whole.items():
        named = {name: [one for one in found if _study(one) == study] for name, found in fitting.items()}
        found = {name: named.get(name, called(there, name)) for name in channels}
        reason = _unclear(found, there) or _apart([one[0] for one in found.values()])
        yield (there, reason) if reason else ([one[0] for one in found.values()], "")


def _study(series: Series) -> Study:
    return series.patient_id, series.study_uid


def per_channel(words: str | None, channels: Sequence[str]) -> dict[str, str]:
    """Channel -> words; {} where the words name no channel.

    Raises:
        ConfigError: one of several parts names none, or two name one.
    """
    parts = [part.partition(":") for part in (words or "").split(";") if part.strip()]
    names = {name.casefold(): name for name in channels}
    known = [names.get(name.strip().casefold(), "") if colon and text.strip() else "" for name, colon, text in parts]
    if len(parts) == 1 and not known[0]:
        return {}
    if "" in known or len({*known}) < len(known):
        raise ConfigError(
            f"--series {shlex.quote(words or '')}: expected CHANNEL:WORDS once a channel, with ; between them. "
            f"The model's channels: {', '.join(channels)}. {_example(channels)}"
        )
    return {name: text.strip() for name, (_, _, text) in zip(known, parts, strict=True)}


def called(series: Sequence[Series], name: str) -> list[Series]:
    """The series whose description is a name, else those that hold it as a word: `T1` of `t1_mprage`, not of `T1w`."""
    wanted = _plain(name)
    equal = [one for one in series if _plain(one.description) == wanted]
    return equal or [one for one in series if f" {wanted} " in f" {_plain(one.description)} "]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def _unclear(found: Mapping[str, Sequence[Series]], there: Sequence[Series]) -> str:
    """Which channels no series fits, or several."""
    for name, fitting in found.items():
        if len(fitting) != 1:
            fits = (
                f"{len(fitting)} series fit: {_titles(fitting)}" if fitting else f"no series fits. There are: {_titles(there)}"
            )
            return f"channel {name}: {fits}. {_example(list(found))}"
    taken = [one[0] for one in found.values()]
    twice = next((one for one in taken if sum(one is other for other in taken) > 1), None)
    return "" if twice is None else f"{twice.title}: fits more than one channel. {_example(list(found))}"


def _titles(series: Sequence[Series]) -> str:
    return "; ".join(one.title for one in series[:SHOWN]) + ("; ..." if len(series) > SHOWN else "")


def _example(channels: Sequence[str]) -> str:
    return f'Type: --series "{";".join(f"{name}:{number}" for number, name in enumerate(channels, 1))}", with their numbers'


def _apart(series: Sequence[Series]) -> str:
    """Whether channels lie in several frames of reference, so that equal places are not the same place. Grids are compared
    when the files are read, as those of other channels are."""
    if len({one.frame_of_reference_uid for one in series}) < 2:
        return ""
    return (
        f"its channels, {_titles(series)}, are in several frames of reference, so the patient may have moved between them. "
        "Register them, and predict the NIfTI files: scan_0000.nii.gz, scan_0001.nii.gz, one a channel"
    )
