"""Reads and writes photos, JSON and the text formats of landmarks; files are written whole.

Imports only `errors`.
"""
