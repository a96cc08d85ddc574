"""`python -m ganeval_cli`: the same as the `ganeval` command."""

from ganeval_cli.entry import main

main()
