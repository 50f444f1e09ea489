"""The data sets, one file each, and the registry that names them."""
