"""What averaging over coarser voxels is worth against picking single ones: Dice of both on held-out cases."""
