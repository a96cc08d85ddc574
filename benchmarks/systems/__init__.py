"""What reference models learn: each next to versions of it that are broken on purpose, with seeds and intervals."""
