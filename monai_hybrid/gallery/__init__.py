"""What a folder of images and masks shows, for the report and for the local page; no torch."""
