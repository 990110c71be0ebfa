"""Several scans of one patient, seen in the names: sides, visits, times, phases, slices, contrasts, dates, letters.

What is certain enough groups the cases. What is not is a `Suspicion`, with the expression that would group them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PATTERNS = (
    re.compile(r"(sub-[A-Za-z0-9]+)(?:_.*)?"),  # BIDS
    re.compile(r"((?:patient|subject|subj|sub|pat)[_\-]?\d+)(?:[_\-.].*)?", re.IGNORECASE),  # ACDC, and alike
    re.compile(r"(SC-[A-Z]+(?:-[A-Z]+)?-\d+)-IM-\d+-\d+"),  # Sunnybrook Cardiac Data
    re.compile(r"(IXI\d+-[A-Za-z]+-\d+)(?:[-_].*)?"),  # IXI: sides and contrasts
)
_SEP = r"[\s_.\-]+"
_NUMBER = r"[_\-]?\d+"
_SIDE = r"left|right|lt|rt|lh|rh|od|os|le|re"
_ORDER = (  # of examinations, which may stand in front as well: pre_P01
    r"(?:visit|vis|ses|sess|session|timepoint|tp|followup|follow[_\-]?up|fu)(?:[_\-]?\d+)?"
    r"|baseline|bl|pre|post|pre[_\-]?op|post[_\-]?op|v\d+"
)
_WORDS = (  # nobody names a patient so
    rf"{_SIDE}|{_ORDER}|ed|es|end[_\-]?(?:dia|sy)stol(?:e|ic)|(?:dia|sy)stol(?:e|ic)"
    r"|t[12](?:w|c|ce|gd)?|flair|dwi|adc|swi|pd|ct|cta|mr|mri|pet|cc|mlo|[2-5]ch|[ls]ax"
    r"|axial|coronal|sagittal|cor|sag|copy|\d+(?:mo|month|months|wk|weeks?|yr|years?|days?)"
)
_NUMBERED = (  # a patient's number may follow such a word as well, so the rest must hold a number of its own
    r"(?:v|t|d|w|m|y|z)\d+"
    rf"|(?:time|day|week|wk|month|mo|year|yr|slice|sl|slc|frame|fr|phase|ph|img|im|image|scan|rep|repeat|run|acq|echo"
    rf"|series|ser|stack|part|patch|tile|crop|view|exam|study|lesion|nodule){_NUMBER}"
    r"|(?:19|20)\d\d[_\-.]?(?:0[1-9]|1[0-2])[_\-.]?(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[1-9]|[12]\d|3[01])[_\-.](?:0[1-9]|[12]\d|3[01])[_\-.](?:19|20)\d\d|mr\d+|\(\d+\)"
    r"|[a-c]|l|r"
)
_STUCK = rf"{_SIDE}|l|r|[a-f]|(?:visit|ses|slice|frame|scan|v|t){_NUMBER}"  # straight after a digit
_CERTAIN = re.compile(rf"(?P<rest>.+)(?P<tail>{_SEP}(?:{_WORDS}))", re.IGNORECASE)
_LIKELY = re.compile(rf"(?P<rest>.+)(?P<tail>{_SEP}(?:{_NUMBERED})|(?<=\d)(?:{_STUCK}))", re.IGNORECASE)
_FIRST = re.compile(rf"(?:{_SIDE}|{_ORDER}|l|r){_SEP}(?P<rest>.+)", re.IGNORECASE)
_INNER = re.compile(rf"(?P<rest>.+){_SEP}(?:left|right|lh|rh)(?P<tail>{_SEP}.+)", re.IGNORECASE)
_LETTER = re.compile(r"(?P<rest>.*\d)(?P<tail>[\s_.\-]?[A-Za-z])")
_COUNTER = re.compile(rf"(?P<rest>.*\d)(?P<tail>{_SEP}\d+)")
_WORD = re.compile(rf"(?P<rest>.*\d.*)(?P<tail>{_SEP}(?=[^\s_.\-]*[A-Za-z])[^\s_.\-]+)")
_ENDING = re.compile(rf"(?P<rest>.*\d)(?P<tail>{_SEP}[A-Za-z]+)")
MOST_ENDINGS = 6  # that are told as a list
EACH = "each"  # as --patient-regex: every case is a patient of its own


@dataclass(frozen=True)
class Suspicion:
    """Names that look like several scans of one patient.

    `groups`: patient -> case ids. `expression`: the --patient-regex that makes them; None when there is no short one.
    """

    why: str
    groups: Mapping[str, tuple[str, ...]]
    expression: str | None


@dataclass(frozen=True)
class Recognised:
    """What names say: case id -> patient; whether any two share one; and what was not certain enough."""

    patients: Mapping[str, str]
    shortened: bool = False
    suspicions: tuple[Suspicion, ...] = field(default=())


def recognise(case_ids: Sequence[str]) -> Recognised:
    """Patients from names. Never one patient for a whole data set: that is a suspicion."""
    ids = list(dict.fromkeys(case_ids))
    known = {name: match[1] for name in ids for pattern in PATTERNS if (match := pattern.fullmatch(name))}
    others = [name for name in ids if name not in known]
    bases = {name: base for name in others if (base := _base(name)) != name}
    groups = _grouped({name: bases.get(name, name) for name in others})
    if not any(len(members) > 1 for members in groups.values()):
        patients = {name: known.get(name, name) for name in ids}
        return Recognised(patients, len(set(patients.values())) < len(ids), _suspicions(others))
    if len(groups) == 1 and not known:
        only = next(iter(groups))
        whole = Suspicion(f"all are scans of one patient, {only!r}", groups, expression_for(groups))
        return Recognised({name: name for name in ids}, False, (whole,))
    named = {name: patient for patient, members in groups.items() for name in members}
    left = [name for name in others if named[name] == name]
    return Recognised({name: known.get(name) or named[name] for name in ids}, True, _suspicions(left))


def _base(name: str) -> str:
    """The name without sides, visits and the like; itself where nothing certain enough is found."""
    while (shorter := _shorter(name)) is not None:
        name = shorter
    return name


def _shorter(name: str) -> str | None:
    match = _CERTAIN.fullmatch(name)
    if match:
        return match["rest"]
    match = _LIKELY.fullmatch(name) or _FIRST.fullmatch(name)
    if match and re.search(r"\d", match["rest"]):
        return match["rest"]
    match = _INNER.fullmatch(name)
    return match["rest"] + match["tail"] if match and re.search(r"\d", match["rest"] + match["tail"]) else None


def _grouped(bases: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Base -> case ids; bases that differ only in capitals are one."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, base in bases.items():
        found[base.casefold()].append(name)
    return {bases[members[0]]: tuple(members) for members in found.values()}


def _suspicions(ids: Sequence[str]) -> tuple[Suspicion, ...]:
    """Names that differ in an ending that may, or may not, be a scan of one patient; the first kind that fits."""
    if (found := _complete(ids)) is not None:
        return (found,)
    kinds = (
        ("they differ by a slice, scan, time or date only", _LIKELY, 2),
        ("they differ by a letter at the end only", _LETTER, 1),
        ("they differ by a second number only", _COUNTER, 2),
    )
    for why, pattern, least in kinds:
        matches = {name: match for name in ids if (match := pattern.fullmatch(name))}
        groups = _grouped({name: matches[name]["rest"] if name in matches else name for name in ids})
        several = [members for members in groups.values() if len(members) > 1]
        if len(several) >= least and len(groups) > 1:
            return (Suspicion(why, groups, expression_for(groups)),)
    return _crossed(ids) or _packed(ids)


def _complete(ids: Sequence[str]) -> Suspicion | None:
    """Every number comes with each of a few words or letters, such as 01_dr, 01_g, 01_h, 02_dr: scans, or groups of people."""
    matches = {name: match for name in ids if (match := _ENDING.fullmatch(name))}
    tails = sorted({match["tail"].casefold() for match in matches.values()})
    groups = _grouped({name: match["rest"] for name, match in matches.items()})
    if len(matches) < len(ids) or not 2 <= len(tails) <= MOST_ENDINGS or len(groups) < 2:
        return None
    if any(len(members) != len(tails) for members in groups.values()):
        return None
    why = f"every number comes with each of {', '.join(tails)}, which may as well name groups of people"
    return Suspicion(why, groups, expression_for(groups))


def _crossed(ids: Sequence[str]) -> tuple[Suspicion, ...]:
    """Endings that come again with several numbers, such as 1_in, 1_out, 2_in, 2_out: words that no list here knows."""
    matches = {name: match for name in ids if (match := _WORD.fullmatch(name))}
    groups = _grouped({name: matches[name]["rest"] if name in matches else name for name in ids})
    several = [members for members in groups.values() if len(members) > 1]
    again = Counter(matches[name]["tail"].casefold() for members in several for name in members if name in matches)
    if len(several) < 2 or len(groups) < 2 or not any(number > 1 for number in again.values()):
        return ()
    return (Suspicion("they differ by a word at the end only", groups, expression_for(groups)),)


def _packed(ids: Sequence[str]) -> tuple[Suspicion, ...]:
    """One number that holds patient and scan, such as 0800, 0801, 0900, 0901: blocks that each begin anew."""
    matches = [re.fullmatch(r"(\D*?)(\d{2,})", name) for name in ids]
    numbers = {match[0]: match for match in matches if match}
    if len(numbers) != len(ids) or len({(match[1], len(match[2])) for match in numbers.values()}) != 1:
        return ()
    for digits in (1, 2):
        groups = _grouped({name: name[:-digits] for name in ids})
        blocks = [sorted(int(name[-digits:]) for name in members) for members in groups.values()]
        whole = sorted(int(match[2]) for match in numbers.values())
        gapless = whole == list(range(whole[0], whole[-1] + 1))
        anew = all(block[0] in (0, 1) and block == list(range(block[0], block[-1] + 1)) for block in blocks)
        if len(blocks) > 2 and not gapless and anew and 2 * sum(len(block) > 1 for block in blocks) > len(blocks):
            return (Suspicion("their last digits begin anew for each number before them", groups, expression_for(groups)),)
    return ()


def expression_for(groups: Mapping[str, tuple[str, ...]]) -> str | None:
    """A --patient-regex that groups the case ids in this way, tried on them; None when there is no short one."""
    tails = {name[len(base) :] for base, members in groups.items() for name in members if name[: len(base)] == base}
    shapes = sorted({_shape(tail) for tail in tails if tail}, key=len, reverse=True)
    either = "|".join(shapes)
    shared = {base for base, members in groups.items() if len(members) > 1}
    candidates = [rf"^(.+?)(?:{either})$", rf"^(.+?)(?:{either})?$"] if shapes else []
    literal = "|".join(re.escape(base) for base in sorted(shared, key=len, reverse=True))
    candidates += [f"^({literal})"] if len(groups) == len(shared) and len(literal) < 300 else []
    return next((text for text in candidates if _groups_so(text, groups)), None)


def _shape(tail: str) -> str:
    r"""A tail as an expression: `_slice_03` -> `_slice_\d+`, `b` -> `[A-Za-z]`."""
    if re.fullmatch(r"[\s_.\-]?[A-Za-z]", tail):
        return re.escape(tail[:-1]) + "[A-Za-z]"
    parts = re.split(r"(\d+)", tail)
    if len(parts) == 3 and not parts[0] and not parts[2]:
        return rf"\d{{{len(tail)}}}" if len(tail) > 1 else r"\d"
    return "".join(r"\d+" if part.isdigit() else re.escape(part) for part in parts)


def _groups_so(text: str, groups: Mapping[str, tuple[str, ...]]) -> bool:
    found: dict[str, set[str]] = defaultdict(set)
    for name in (name for members in groups.values() for name in members):
        match = re.search(text, name)
        if match is None or not match[1]:
            return False
        found[match[1]].add(name)
    return sorted(map(sorted, found.values())) == sorted(map(sorted, groups.values()))
