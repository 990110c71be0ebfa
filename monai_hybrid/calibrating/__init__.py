"""Predicted quality and calibrated probabilities of a model that is there already: its card gets them from labelled cases."""

from monai_hybrid.calibrating.calibration import calibrate

__all__ = ["calibrate"]
