"""The commands of docs/formats.md with annotation tools: prediction, files, records."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from runs import REPOSITORY
from senet_landmark.cli.app import main
from senet_landmark.data.tfrecords import read_records
from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path
from senet_landmark.io.images import write_picture
