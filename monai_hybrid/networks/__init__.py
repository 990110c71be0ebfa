"""The network: a denoiser and a segmenter with one body, fresh or started from the weights of another."""

from monai_hybrid.networks.hybrid_unet import HybridDiffusionUNet
from monai_hybrid.networks.transfer import TransferReport, transfer_weights, with_transfer
from monai_hybrid.networks.tuning import parameter_groups

__all__ = ["HybridDiffusionUNet", "TransferReport", "parameter_groups", "transfer_weights", "with_transfer"]
