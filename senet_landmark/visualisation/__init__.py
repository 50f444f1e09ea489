"""Pages, charts, and faces drawn on photos. Imports `face` and `io`."""
