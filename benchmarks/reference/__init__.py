"""Pages of docs/reference that are made from the code: settings, commands, exit codes, files and the Python API."""
