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


def test_service_and_its_sample_need_only_its_extra():
    """Not what records and training need."""
    import subprocess
    import sys

    program = (
        "import sys; from senet_landmark.export.service import app, page; page.load_page(); "
        "from senet_landmark.export.page import page; "
        "assert page.sample_photo()[:2] == b'\\xff\\xd8'; "
        "assert not {'scipy', 'joblib', 'matplotlib', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
