"""`repair`: corrected copies of a data set, where the correction is certain; the source is never touched."""

from data_prep.repair.run import RepairReport, repair

__all__ = ["RepairReport", "repair"]
