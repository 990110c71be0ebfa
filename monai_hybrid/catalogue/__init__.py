"""The models that come with the package: which there are, what is known of each, and which file a name means. No torch.

`naming.py` is what settings need, quick and without further imports; `entry.py` reads cards.
"""
