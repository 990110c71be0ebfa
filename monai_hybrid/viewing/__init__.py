"""A local page on which masks are looked at, corrected, and saved as labels. Imports no torch."""
