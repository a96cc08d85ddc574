"""Saved results -> one HTML file that opens anywhere. It sees results and their exhibits alone: no images, no torch."""
