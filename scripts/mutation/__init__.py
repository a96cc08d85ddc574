"""Mutation testing: break lines of the code one at a time, and count how many of the faults the tests catch."""
