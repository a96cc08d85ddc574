"""`python -m ganeval`: the same as the `ganeval` command, for torchrun's -m."""

from ganeval_cli.entry import main

main()
