"""Hybrid diffusion pretraining and few-label fine-tuning of segmentation networks (arXiv 2408.03433)."""

__version__ = "0.1.0"
