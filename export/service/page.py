"""The page of the service as one document."""

from pathlib import Path

from senet_landmark.export.page.page import FIRST, OTHERS, STYLE, filled_page, read_template

TEMPLATES = Path(__file__).parent / "templates"


def load_page() -> str:
    """The page with its style and scripts in it: a browser asks for nothing else."""
    scripts = [
        read_template(FIRST),
        read_template("serve.js", TEMPLATES),
        *map(read_template, OTHERS),
    ]
    return filled_page(
        {
            "head": f"<style>\n{read_template(STYLE)}</style>",
            "privacy": "They are sent to this service only, and are not\nstored.",
            "noscript": "Without it you can send photos to POST /v1/landmarks.",
            "program": read_template("program.html", TEMPLATES).rstrip("\n"),
            "script": "<script>\n{}</script>".format("\n".join(scripts)),
        }
    )
