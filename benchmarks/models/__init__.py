"""How the models of the package are trained, packed and scored; see README.md."""
