"""The forward process and the joint samplers."""

from monai_hybrid.diffusion.noising import NoiseSchedule

__all__ = ["NoiseSchedule"]
