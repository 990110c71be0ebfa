"""The network: a denoiser and a segmenter with one body."""

from monai_hybrid.networks.hybrid_unet import HybridDiffusionUNet

__all__ = ["HybridDiffusionUNet"]
