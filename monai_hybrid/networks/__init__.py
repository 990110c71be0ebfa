"""The network: a denoiser and a segmenter with one body, fresh or started from the weights of another."""

from monai_hybrid.earlier_names import moved_from
from monai_hybrid.networks.folding import FoldedSegmenter, folded
from monai_hybrid.networks.hybrid_unet import HybridDiffusionUNet, as_domain
from monai_hybrid.networks.number_types import fastest_dtype
from monai_hybrid.networks.transfer import TransferReport, transfer_weights, with_transfer

__all__ = [
    "FoldedSegmenter",
    "HybridDiffusionUNet",
    "TransferReport",
    "as_domain",
    "fastest_dtype",
    "folded",
    "transfer_weights",
    "with_transfer",
]

__getattr__ = moved_from("networks")
