"""One file a runtime that a frozen model runs in; `registry.load_engine` chooses among them."""
