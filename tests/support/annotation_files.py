"""Files of annotation tools about the portrait, as the tools write them."""

import copy
import json

import numpy as np

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait

SIZE = 512


def coco(points=None, *, name="face.jpg", names=None, **annotation):
    """A COCO file with one face; `points` [K, 2] in 0-based pixels."""
    points = portrait()[1] if points is None else points
    keypoints = [value for x, y in np.asarray(points, float).tolist() for value in (x, y, 2)]
    return {
        "images": [{"id": 7, "file_name": name, "width": SIZE, "height": SIZE}],
        "categories": [
            {"id": 3, "name": "face", "keypoints": names or [f"p{i}" for i in range(len(points))]}
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "keypoints": keypoints, **annotation}
        ],
    }


def with_values(content, path, value):
    """A copy of JSON content with another value at a path of keys; `...` deletes the key."""
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return content


def keypoint(number, label, point, parent="face1", size=(SIZE, SIZE)):
    """A region of Label Studio for a point in 0-based pixels."""
    x, y = ((np.asarray(point, float) + 0.5) / size * 100).tolist()
    region = {
        "id": f"{parent}-{number}",
        "type": "keypointlabels",
        "from_name": "landmark",
        "to_name": "image",
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": 0.4, "keypointlabels": [label]},
        "origin": "manual",
    }
    return {**region, "parentID": parent} if parent else region


def rectangle(name="face1", box=(150.0, 60.0, 300.0, 200.0), size=(SIZE, SIZE)):
    """A region of Label Studio for a box in 0-based pixels."""
    left, top, right, bottom = (np.asarray(box, float) + 0.5) / SIZE * 100
    value = {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}
    return {
        "id": name,
        "type": "rectanglelabels",
        "from_name": "face",
        "to_name": "image",
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
        "value": {**value, "rectanglelabels": ["face"]},
    }


def regions(points=None, parent="face1"):
    """The regions of a face's points."""
    points = portrait()[1] if points is None else points
    return [keypoint(i, f"p_{i}", point, parent) for i, point in enumerate(points)]


def task(result, *, image="face.jpg", predictions=(), **annotation):
    """A task of Label Studio's export with one annotation."""
    return {
        "id": 12,
        "data": {"image": image},
        "annotations": [{"id": 3, "was_cancelled": False, "result": result, **annotation}],
        "predictions": [{"model_version": "m", "result": list(result)} for result in predictions],
    }


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>5</id><name>faces</name></task></meta>
  <image id="0" name="{name}" width="{width}" height="{height}">
{faces}  </image>
</annotations>
"""


def skeleton(points=None, label="face", names=None, marks=None):
    """A skeleton of CVAT; `marks`: number of a point -> its attributes."""
    points = portrait()[1] if points is None else points
    rows = []
    for i, (x, y) in enumerate(np.asarray(points, float) + 0.5):
        seen = {"outside": 0, "occluded": 0, **(marks or {}).get(i, {})}
        attributes = " ".join(f'{key}="{value}"' for key, value in seen.items())
        name = names[i] if names else i
        place = f'label="{name}" points="{x:.2f},{y:.2f}"'
        rows.append(f'<points {place} source="manual" {attributes}>\n</points>\n')
    return f'<skeleton label="{label}" source="manual" z_order="0">\n{"".join(rows)}</skeleton>\n'


def cvat(*faces, name="face.jpg", size=(SIZE, SIZE)):
    """A file of CVAT for images 1.1 with one photo."""
    return CVAT.format(name=name, faces="".join(faces), width=size[0], height=size[1])


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
