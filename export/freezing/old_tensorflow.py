"""Whether TensorFlow 1.15, the last release of TensorFlow 1, can read a frozen graph.

Many programs still use it. Its list of operations is in `assets/`; it cannot import a graph with a
newer operation, or with a newer attribute of an operation.
"""

import functools
import json
from pathlib import Path
from typing import Any

_LIST = Path(__file__).parent / "assets" / "tensorflow_1_15_operations.json"


@functools.cache
def known_operations() -> dict[str, frozenset[str]]:
    """Operation -> names of its attributes, in TensorFlow 1.15.5."""
    listed: dict[str, Any] = json.loads(_LIST.read_text(encoding="utf-8"))
    return {name: frozenset(names) for name, names in listed.items() if not name.startswith("_")}


def newer_parts(graph_def: Any) -> list[str]:
    """Parts of a GraphDef that TensorFlow 1.15 does not know: `Operation`, `Operation.attribute`.

    Attributes that begin with `_` are hints for the runtime, which TensorFlow 1.15 ignores.
    """
    known = known_operations()
    newer = set()
    for node in graph_def.node:
        if node.op not in known:
            newer.add(node.op)
            continue
        names = {name for name in node.attr if not name.startswith("_")}
        newer |= {f"{node.op}.{name}" for name in names - known[node.op]}
    return sorted(newer)
