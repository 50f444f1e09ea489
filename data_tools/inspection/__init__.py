"""Records -> one page of pictures and figures, and a list of suspect faces."""
