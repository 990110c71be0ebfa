"""What happens to a run that is killed, and to data sets that are defective: measured."""
