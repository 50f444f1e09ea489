"""The page for the browser, and the HTTP endpoint behind it."""
