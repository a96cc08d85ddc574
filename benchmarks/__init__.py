"""ganeval beside its peers: the same images, the same generated weights, one run, reported as ratios."""
