"""From a folder of scans to a checked data list, a description of the data set and a plan. Never imports torch."""
