"""Training runs and models side by side: what they cost, and how accurate they are."""
