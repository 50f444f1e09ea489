"""What an import loads."""

import pytest

pytestmark = pytest.mark.slow


def test_importing_is_cheap():
    """Neither the package nor what `predict` needs loads TensorFlow (see test_export for that)."""
    import subprocess
    import sys

    names = ("face.geometry", "face.pose", "evaluation.metrics", "cli.app")
    modules = ", ".join(f"senet_landmark.{name}" for name in names)
    program = f"import sys, {modules}; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
