"""Which extra of this package installs a missing module."""

import importlib.metadata
import re

_DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "dlib": "dlib-bin",
    "mlflow": "mlflow-skinny",
    "multipart": "python-multipart",
    "PIL": "pillow",
}
"""Module -> its distribution, where the names differ in more than - and _."""

_TITLES = {"tensorflow": "TensorFlow", "scipy": "SciPy", "numpy": "NumPy", "cv2": "OpenCV"}
"""Module -> its name as its makers write it, where it differs."""


def missing_message(module: str) -> str | None:
    """What to install for a missing module; None: it belongs to no dependency of this package.

    Args:
      module: its full name, as in `ModuleNotFoundError.name`.
    """
    top = module.partition(".")[0]
    distribution = _normalised(_DISTRIBUTIONS.get(top, top))
    try:
        requirements = importlib.metadata.requires("senet_landmark") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    extras = []
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        if name and _normalised(name[0]) == distribution:
            extra = re.search(r"extra == ['\"]([\w.-]+)['\"]", requirement)
            extras.append(extra[1] if extra else "")
    if not extras:
        return None
    # A user of a command needs the smallest extra, never the developers' tools.
    extra_name = next((extra for extra in extras if extra != "dev"), extras[0])
    package = f'"senet_landmark[{extra_name}]"' if "" not in extras else "senet_landmark"
    title = _TITLES.get(top, top)
    return f"this command needs {title}, which is not installed: pip install {package}"


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
