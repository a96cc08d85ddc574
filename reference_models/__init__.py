"""Reference GANs, one paper a file: none yet."""
