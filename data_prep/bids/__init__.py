"""BIDS (Brain Imaging Data Structure) in: names, files, contrasts, labels and tables, by the standard library alone.

Why no kept library: tried on 14,002 files of 1,000 subjects. pybids 0.22.0 adds 367 MB of packages and takes 15.0 s of
processor time, bids2table 2.3.1 adds 176 MB (pyarrow) and takes 0.8 s. ancpbids 0.4.10 adds 3 MB and takes 0.8 s, but a link
to a folder above makes it list each scan 41 times. The walk below takes 0.3 s, and reading the set with its labels and tables
1.2 s. It looks at most three folders deep, and so meets no loop.
"""

from __future__ import annotations

from data_prep.bids.listing import DESCRIPTION, is_bids
from data_prep.bids.scans import BidsScan, scans_to_predict
from data_prep.bids.wanted import BidsChoice

__all__ = ["DESCRIPTION", "BidsChoice", "BidsScan", "is_bids", "scans_to_predict"]
