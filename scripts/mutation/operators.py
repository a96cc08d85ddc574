"""The small faults that can be put into a source file: one expression or statement is replaced."""

import ast
import copy
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PACKAGES = ("ganeval", "cli/ganeval_cli", "reference_models")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{
        ast.Eq: ast.NotEq,
        ast.NotEq: ast.Eq,
        ast.Is: ast.IsNot,
        ast.IsNot: ast.Is,
        ast.In: ast.NotIn,
        ast.NotIn: ast.In,
    },
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.MatMult: ast.Add},
}
# Not evaluated when values are computed, or without effect on them.
SKIPPED_FIELDS = ("annotation", "returns", "decorator_list", "bases")
SKIPPED_KEYWORDS = ("stacklevel", "strict")


@dataclass(frozen=True, slots=True, order=True)
class Mutation:
    """One fault: bytes start to end of a file are replaced. function: the qualified name of the line's function."""

    function: str
    statement: str
    change: str
    file: str
    line: int
    start: int
    end: int
    replacement: str

    @property
    def place(self) -> tuple[str, str]:
        """The line, named independently of its file and number: files are renamed and lines move between commits."""
        return self.function, self.statement

    def applied(self, source: bytes) -> bytes:
        """The file with the fault in it."""
        return source[: self.start] + self.replacement.encode() + source[self.end :]

    def differs(self, source: bytes) -> bool:
        """Whether the file with the fault in it compiles, and to something else."""
        try:
            return ast.dump(ast.parse(self.applied(source))) != ast.dump(ast.parse(source))
        except SyntaxError:
            return False


def draw(roots: Sequence[Path], *, count: int, seed: int, within: str = "") -> list[Mutation]:
    """Mutations of `count` lines of the first root, one per line, drawn from the lines that all roots have.

    within: the required beginning of a file's path. A line is identified by its text and the qualified name of its
    function; lines that share both with another line (one in twenty) are left out.
    """
    found = [dict(_by_place(root)) for root in roots]
    found[0] = {place: same for place, same in found[0].items() if same[0].file.startswith(within)}
    shared = sorted(set.intersection(*map(set, found)))
    generator = np.random.default_rng(seed)
    drawn: list[Mutation] = []
    for number in generator.permutation(len(shared)):
        if len(drawn) == count:
            break
        choices = [one for one in sorted(found[0][shared[number]]) if one.differs((roots[0] / one.file).read_bytes())]
        if choices:
            drawn.append(choices[generator.integers(len(choices))])
    return drawn


def _by_place(root: Path) -> Iterator[tuple[tuple[str, str], list[Mutation]]]:
    """The mutations of every line of a checkout that can be named without its file."""
    places: dict[tuple[str, str], list[Mutation]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            for mutation in mutations(path.relative_to(root).as_posix(), path.read_bytes()):
                places[mutation.place].append(mutation)
    for place, same in places.items():
        if len({(mutation.file, mutation.line) for mutation in same}) == 1:
            yield place, same


def mutations(file: str, source: bytes) -> list[Mutation]:
    """Every mutation of a file. Mutations of one line with the same text are given once."""
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    starts = np.cumsum([0, *map(len, lines)]).tolist()
    found: list[Mutation] = []
    seen: Counter[tuple[int, str]] = Counter()
    for function, node, replacement in _faults(tree):
        line = node.lineno
        before, after = ast.unparse(node), replacement
        start, end = (
            starts[line - 1] + node.col_offset,
            starts[(node.end_lineno or line) - 1] + (node.end_col_offset or 0),
        )
        change = f"{_shortened(before)} -> {_shortened(after)}"
        seen[line, change] += 1
        statement = lines[line - 1].decode().strip()
        mutation = Mutation(function, statement, change, file, line, start, end, replacement)
        if seen[line, change] == 1:
            found.append(mutation)
    return found


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def _faults(node: ast.AST, function: str = "") -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """Each place that can be broken below a node: the function it stands in, the node, and the text to put there."""
    if _is_skipped(node):
        return
    if isinstance(node, ast.expr | ast.stmt):
        for replacement in _replacements(node):
            yield function, node, replacement
    for condition in _conditions(node):
        yield function, condition, f"(not ({ast.unparse(condition)}))"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        function = f"{function}.{node.name}".lstrip(".")
    for name, value in ast.iter_fields(node):
        if name in SKIPPED_FIELDS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _faults(child, function)


def _conditions(node: ast.AST) -> list[ast.expr]:
    """The conditions of branches; `not` conditions are inverted by their own replacement."""
    found: list[ast.expr] = []
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        found = [node.test]
    if isinstance(node, ast.comprehension):
        found = node.ifs
    return [test for test in found if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))]


def _is_skipped(node: ast.AST) -> bool:
    """Code that no test of values can check: assertions, messages (f-strings), blocks for type checkers and scripts."""
    match node:
        case ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
        case ast.keyword(arg=str(name)):
            return name in SKIPPED_KEYWORDS
    return False


def _replacements(node: ast.expr | ast.stmt) -> Iterator[str]:
    """The possible replacements of a node."""
    match node:
        case ast.Compare(ops=[op, *_]):
            yield _edited(node, "ops", [COMPARISONS[type(op)](), *node.ops[1:]])
        case ast.BinOp(op=op) if type(op) in ARITHMETIC and not _is_text(node.left) and not _is_text(node.right):
            yield _edited(node, "op", ARITHMETIC[type(op)]())
        case ast.BoolOp(op=op):
            yield _edited(node, "op", ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield f"({ast.unparse(operand)})"
        case ast.Constant(value=bool(value)):
            yield str(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield f"({value + 1!r})"
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "return None"
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield "pass"


def _edited(node: ast.expr, name: str, value: object) -> str:
    """A node's text with one field replaced."""
    edited = copy.copy(node)
    setattr(edited, name, value)
    return f"({ast.unparse(edited)})"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
