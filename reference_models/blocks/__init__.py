"""Building blocks that more than one paper uses: losses, penalties, networks, and the two-player game."""
