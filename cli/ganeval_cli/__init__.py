"""The command line: every command parses, calls ganeval, and renders."""
