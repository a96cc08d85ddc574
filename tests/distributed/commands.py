"""Run commands in one process and in two, as torchrun starts them: `python -m distributed.commands FOLDER MODULE...`.

FOLDER/commands.json has the commands by name; the streams and exit codes go to FOLDER/NAME-SIZE-RANK.{out,err,rc}, with
the number of processes and the rank. Each runs in a folder of its own, NAME-SIZE. Modules that the commands import are
imported once, before.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

from torch.distributed import TCPStore

import ganeval_cli.main

SIZES = (1, 2)


def _run(folder: Path, name: str, command: list[str], *, rank: int, size: int, port: int) -> None:
    """One process of a command; does not return."""
    if size > 1:
        where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({key: str(value) for key, value in where.items()})
        os.environ.update(TORCHELASTIC_RUN_ID="test", TORCHELASTIC_USE_AGENT_STORE="True")
    os.environ["GANEVAL_CACHE"] = str(folder / f"cache-{name}-{size}")
    for number, ending in ((1, "out"), (2, "err")):
        file = os.open(folder / f"{name}-{size}-{rank}.{ending}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
    os.chdir(folder / f"{name}-{size}")
    sys.argv = ["ganeval", *command]
    code: object = 0
    try:
        ganeval_cli.main.main()
    except SystemExit as leaving:
        code = leaving.code
    sys.stdout.flush()
    sys.stderr.flush()
    (folder / f"{name}-{size}-{rank}.rc").write_text(str(code or 0))
    os._exit(0)


def main() -> None:
    """Every command, one after the other, in processes of their own."""
    folder = Path(sys.argv[1])
    for module in sys.argv[2:]:
        import_module(module)
    for name, command in json.loads((folder / "commands.json").read_text()).items():
        for size in SIZES:
            (folder / f"{name}-{size}").mkdir()
            # Kept by a process that outlives the others, as torchrun keeps it.
            store, children = TCPStore("127.0.0.1", 0, size, is_master=True, wait_for_workers=False), []
            for rank in range(size):
                child = os.fork()
                if child == 0:
                    try:
                        _run(folder, name, command, rank=rank, size=size, port=store.port)
                    finally:
                        os._exit(70)
                children.append(child)
            for child in children:
                os.waitpid(child, 0)


if __name__ == "__main__":
    main()
