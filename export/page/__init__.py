"""The page for photos and the camera, which the service and the folder for browsers share.

Imports the contract and what the page draws with; it knows neither FastAPI nor a runtime.
"""
