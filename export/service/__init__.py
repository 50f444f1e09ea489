"""The page in the browser, and the HTTP endpoint behind it."""
