"""Models, peers and boxes on annotated faces -> figures and a page."""
