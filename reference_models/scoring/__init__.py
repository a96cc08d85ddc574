"""Scores of trained models: final, during training, and next to published numbers."""
