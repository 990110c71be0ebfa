"""Labelled images of random shapes without end: a source domain that needs no data and no person's label."""

from data_prep.synthetic.families import LABELS
from data_prep.synthetic.sample import Sample, draw_sample

__all__ = ["LABELS", "Sample", "draw_sample"]
