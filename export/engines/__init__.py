"""One file a runtime, and a registry. Imports nothing above the contract."""
