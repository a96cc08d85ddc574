"""Training data: images as one tensor, names of classes, toy distributions."""
