"""From checkpoint to a frozen graph, and from a photo to landmarks with that graph alone."""
