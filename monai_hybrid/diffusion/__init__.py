"""The forward process and the joint samplers."""
