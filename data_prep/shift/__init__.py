"""Two prepared data sets side by side: what differs, and what follows from it."""

from data_prep.shift.report import shift

__all__ = ["shift"]
