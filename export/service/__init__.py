"""The page and the HTTP endpoint of `senet-landmark serve`."""
