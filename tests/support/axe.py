"""axe-core on a page in a browser: what keeps people from using it."""

from pathlib import Path

import axe_playwright_python

SCRIPT = Path(axe_playwright_python.__file__).with_name("axe.min.js")


def violations(page) -> list[str]:
    """The page's serious and critical violations, as `rule: what it asks for (elements)`."""
    # Evaluated and not added as a script: a page's own policy may allow no script but its own.
    page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{rule['id']}: {rule['help']} ({', '.join(str(n['target']) for n in rule['nodes'])})"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
