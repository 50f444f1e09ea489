"""One file for each runtime, and a registry. Imports nothing above the contract."""
