"""Start a network from the weights of another: matched by name, adapted to other image channels and labels, reported.

The body must be the same network. Three parts may differ, and follow the names of channels and labels: the first layer's input
channels, the C image rows and the K mask rows of the head.
"""

from monai_hybrid.networks.transfer.load import transfer_weights, with_transfer
from monai_hybrid.networks.transfer.report import TensorEntry, TransferReport

__all__ = ["TensorEntry", "TransferReport", "transfer_weights", "with_transfer"]
