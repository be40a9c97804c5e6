"""``python tests/architecture.py``: the rooms of kdlab, the floor of each, who imports whom, and what is wrong with it.

A room is a package folder below ``kdlab/`` or a file at its root. A room may import itself and the rooms on floors
below its own; rooms on one floor are sisters and import none of each other. Imports inside functions count as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1] / "kdlab"

# from the ground up; `kdlab` itself is the version number
FLOORS: tuple[tuple[str, ...], ...] = (
    ("kdlab", "errors"),
    ("types",),
    ("system",),
    ("ops", "losses"),
    ("models",),
    ("data",),
    ("evaluation",),
    ("transformations",),
    ("augmentation", "attacks"),
    ("methods",),
    ("results",),
    ("reports",),
    ("config",),
    ("training",),
    ("planning",),
    ("pipeline",),
    ("studies", "export"),
    ("commands",),
    ("cli",),
    ("run", "__main__"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    """``kdlab.data.tasks`` stands in the room ``data``."""
    words = module.split(".")
    return words[1] if len(words) > 1 else "kdlab"


def module_of(file: Path) -> str:
    """Name of a file's module."""
    return ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def files() -> list[Path]:
    """Every Python file of kdlab."""
    return sorted(ROOT.rglob("*.py"))


def _is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(source: str) -> list[tuple[int, str]]:
    """Line and module of every import of kdlab, in functions too; a name that is a module counts as that module."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            names = [f"{package}.{alias.name}" for alias in node.names]
            found += [(node.lineno, name if _is_module(name) else package) for name in names]
    unique = dict.fromkeys(found)
    return [(line, name) for line, name in unique if name.startswith((".", "kdlab.")) or name == "kdlab"]


def violations(room: str, source: str, where: str) -> list[str]:
    """What is wrong with a file's imports, with file and line."""
    wrong = []
    for line, name in imports(source):
        other = room_of(name)
        if name.startswith("."):
            wrong.append(f"{where}:{line}: imports are written in full, not as '{name}'")
        elif other not in FLOOR:
            wrong.append(f"{where}:{line}: '{other}' stands on no floor: give it one in tests/architecture.py")
        elif other != room and FLOOR[other] >= FLOOR[room]:
            wrong.append(f"{where}:{line}: '{room}' imports '{name}', which stands beside or above it")
    return wrong


def graph(rooms: bool) -> dict[str, set[str]]:
    """Who imports whom, by room or by module."""
    arrows: dict[str, set[str]] = {}
    for file in files():
        own = module_of(file)
        start = room_of(own) if rooms else own
        targets = [name for _, name in imports(file.read_text(encoding="utf-8")) if not name.startswith(".")]
        arrows.setdefault(start, set()).update(room_of(name) if rooms else name for name in targets)
    return {start: ends - {start} for start, ends in arrows.items()}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups that reach one another (the strongly connected components of more than one member)."""
    reach = {start: _reachable(arrows, start) for start in arrows}
    groups = {frozenset([a, *(b for b in reach[a] if a in reach.get(b, set()))]) for a in arrows}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(arrows: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for end in arrows.get(todo.pop(), set()) - seen:
            seen.add(end)
            todo.append(end)
    return seen


def _lines(found: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in found) or "  none"


def report() -> tuple[str, bool]:
    """What ``make architecture`` prints, and whether all is well."""
    arrows = graph(rooms=True)
    up = []
    for file in files():
        where = str(file.relative_to(ROOT.parent))
        up += violations(room_of(module_of(file)), file.read_text(encoding="utf-8"), where)
    round_trips = [" ↔ ".join(group) for group in circles(arrows) + circles(graph(rooms=False))]
    parts = []
    for number in range(len(FLOORS) - 1, -1, -1):
        for room in FLOORS[number]:
            if room in arrows:
                below = ", ".join(sorted(arrows[room], key=lambda r: -FLOOR.get(r, 0))) or "nothing"
                parts.append(f"floor {number:>2}  {room:<12} → {below}")
    count = sum(len(ends) for ends in arrows.values())
    text = (
        f"{len(arrows)} rooms, {len(files())} files, {count} arrows between rooms\n"
        + "\n".join(parts)
        + f"\ncircles, of rooms and of modules:\n{_lines(round_trips)}\narrows up or across:\n{_lines(up)}"
    )
    return text, not (up or round_trips)


if __name__ == "__main__":
    text, well = report()
    sys.stdout.write(text + "\n")
    sys.exit(0 if well else 1)
