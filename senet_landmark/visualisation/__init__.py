"""HTML pages, charts, tables, and faces drawn on photos. Imports `face` and `io`."""
