"""Whether TensorFlow 1.15, the last of the first line, can read a frozen graph.

Many programs still run on it. Its list of operations is in `assets/`; importing a graph fails there
on an operation, or an attribute of one, that is younger.
"""

import functools
import json
from pathlib import Path
from typing import Any

_LIST = Path(__file__).parent / "assets" / "tensorflow_1_15_operations.json"


@functools.cache
def known_operations() -> dict[str, frozenset[str]]:
    """Operation -> names of its attributes, of TensorFlow 1.15.5."""
    listed: dict[str, Any] = json.loads(_LIST.read_text(encoding="utf-8"))
    return {name: frozenset(names) for name, names in listed.items() if not name.startswith("_")}


def younger_parts(graph_def: Any) -> list[str]:
    """What a GraphDef has that TensorFlow 1.15 does not know: `Operation`, `Operation.attribute`.

    Attributes that begin with `_` are notes to the runtime, which it skips.
    """
    known = known_operations()
    found = set()
    for node in graph_def.node:
        if node.op not in known:
            found.add(node.op)
            continue
        names = {name for name in node.attr if not name.startswith("_")}
        found |= {f"{node.op}.{name}" for name in names - known[node.op]}
    return sorted(found)
