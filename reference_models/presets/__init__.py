"""The recipes of every variant, one paper a file; none of these imports torch."""
