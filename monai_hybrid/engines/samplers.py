"""Which cases an epoch draws: random permutations, or a share of labelled cases where labels are rare."""

from __future__ import annotations

from typing import Any

from monai.data import DistributedSampler
from torch.utils.data import RandomSampler, Sampler, WeightedRandomSampler

from monai_hybrid.losses.objectives import get_objective


def mixed_sampler(
    cases: list[dict[str, Any]], num_samples: int, labelled_share: float = 0.5, processes: int = 1, replay_share: float = 0.5
) -> Sampler[int]:
    """Draw `num_samples` cases: random permutations, or given shares of each kind where there are several kinds.

    Args:
        cases: some without "label", some "replayed" from the source.
        num_samples: samples an epoch, of this process.
        labelled_share: of labelled ones among those of the target, where both kinds are there.
        processes: of the run. Several deal out one permutation among them; a given share each draws from all cases.
        replay_share: of replayed cases among all, where there are some.
    """
    kinds = ["replayed" if case.get("replayed") else "labelled" if "label" in case else "unlabelled" for case in cases]
    count = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    if set(count) <= {"labelled"}:
        return _permutations(cases, num_samples, processes)
    share = {"labelled": labelled_share if "unlabelled" in count else 1.0, "unlabelled": 1 - labelled_share}
    if "replayed" in count:
        share = {kind: (1 - replay_share) * part for kind, part in share.items()} | {"replayed": replay_share}
    return WeightedRandomSampler([share[kind] / count[kind] for kind in kinds], num_samples)


def _permutations(cases: list[dict[str, Any]], num_samples: int, processes: int) -> Sampler[int]:
    if processes > 1:
        return DistributedSampler(cases, even_divisible=True, shuffle=True)
    return RandomSampler(cases, num_samples=num_samples)


def pretraining_sampler(
    cases: list[dict[str, Any]], num_samples: int, objective: str, labelled_share: float = 0.5, processes: int = 1
) -> Sampler[int]:
    """Random permutations of all cases, unless labels are so rare that the mask term would see few of them.

    Args:
        cases: some without "label".
        num_samples: samples an epoch, of this process.
        objective: name of the arm. Without an image term nothing is learnt from an image alone: labelled cases alone are drawn;
            without a mask term labels count for nothing.
        labelled_share: the least share of labelled samples of an objective with both terms.
        processes: of the run, as in `mixed_sampler`.

    Raises:
        ConfigError: unknown objective.
    """
    terms = get_objective(objective)
    least = labelled_share if terms.image_term else 1.0
    labelled = sum("label" in case for case in cases)
    if labelled == 0 or labelled >= least * len(cases) or not (terms.mask_on_noisy or terms.clean_fraction):
        return _permutations(cases, num_samples, processes)
    return mixed_sampler(cases, num_samples, least, processes)
