"""How far a model's masks can be trusted: predicted Dice with its interval, calibrated probabilities, strange batches."""

from monai_hybrid.quality.batch import strange_batch
from monai_hybrid.quality.dice_model import predicted_dice
from monai_hybrid.quality.temperature import tempered

__all__ = ["predicted_dice", "strange_batch", "tempered"]
