"""Built-in data: labelled synthetic heads from two unlike scanners, made from a seed in seconds, without a download."""

from data_prep.phantom.dataset import generate
from data_prep.phantom.scanner import SITES
from data_prep.phantom.tissues import LABELS

__all__ = ["LABELS", "SITES", "generate"]
