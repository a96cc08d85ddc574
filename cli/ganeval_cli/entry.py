"""The entry point of the installed command, which handles signals before it imports anything else."""

from ganeval_cli.signals import interruptible


def main() -> None:
    """Run the command of `sys.argv`, and keep the signal handlers until the process ends: it is not called twice."""
    with interruptible():
        from ganeval_cli.main import main as run

        run()
