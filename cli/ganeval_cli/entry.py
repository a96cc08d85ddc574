"""The entry point of the installed command, which listens to signals before it imports anything else."""

from ganeval_cli.signals import interruptible


def main() -> None:
    """Run the command of `sys.argv`, and leave the signals to the end of the process: it is not called twice."""
    with interruptible():
        from ganeval_cli.main import main as run

        run()
