"""What the reference models have learned: one benchmark for each paper that does more than draw images."""
