"""Which scans to label next: what a model sees in unlabelled scans, and orders that follow from it."""

from monai_hybrid.suggesting.orders import DEFAULT, ORDERS, ordered
from monai_hybrid.suggesting.seen import Seen, look
from monai_hybrid.suggesting.suggestion import Suggestion, suggest

__all__ = ["DEFAULT", "ORDERS", "Seen", "Suggestion", "look", "ordered", "suggest"]
