"""Files written whole, photos in and out, and the text formats of landmarks.

Imports `errors` alone.
"""
