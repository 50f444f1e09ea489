"""Photos and annotations in small trees of data sets."""

import shutil

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait, portrait_path


def photo_in(folder, name="face.jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(portrait_path(), folder / name)
    return portrait()[1]


XML = """<?xml version='1.0'?><dataset><images>
<image file='face.jpg'><box top='10' left='20' width='100' height='90'>{parts}</box>
<box top='1' left='1' width='5' height='5' ignore='1'/>
<box top='5' left='6' width='7' height='8'>{more}</box></image></images></dataset>"""
