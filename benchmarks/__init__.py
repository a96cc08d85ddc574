"""ganeval compared with similar tools: same images, same generated weights, one run, reported as ratios."""
