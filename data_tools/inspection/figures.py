"""Counts and figures of a survey, for the tables of the page and for `inspect.json`."""

from collections import Counter
from typing import Any

import numpy as np

from senet_landmark.config import to_json
from senet_landmark.data_tools.inspection.survey import Survey
from senet_landmark.data_tools.inspection.suspects import Suspect
from senet_landmark.face.attributes import get_attribute


def figures_of(survey: Survey, suspects: dict[str, list[Suspect]]) -> dict[str, Any]:
    """The content of `inspect.json`."""
    return {
        "faces": len(survey.faces),
        "folders": [_folder(survey, number) for number in range(len(survey.folders))],
        "splits": [_split(survey, side, numbers) for side, numbers in survey.sides().items()],
        "suspects": {kind: len(faces) for kind, faces in suspects.items()},
        "suspect_faces": len({s.face for faces in suspects.values() for s in faces}),
    }


def _folder(survey: Survey, number: int) -> dict[str, Any]:
    folder = survey.folders[number]
    info, report = folder.info, folder.report
    correction = info.box_corrections.get(info.box_source)
    return {
        "folder": str(folder.path),
        "name": folder.name,
        "dataset": info.dataset,
        "scheme": info.scheme,
        "box_source": info.box_source,
        "box_correction": to_json(correction) if correction else None,
        "split_by": info.records.split_by,
        "faces": sum(face.folder == number for face in survey.faces),
        "missed": report.get("missed_count", 0),
        "skipped": report.get("skipped_count", 0),
        "skipped_reasons": [str(s.get("reason", s)) for s in report.get("skipped", [])],
        "duplicate_photos": report.get("duplicate_photos", 0),
        "duplicates_across_splits": len(report.get("duplicates_across_splits", [])),
    }


def _split(survey: Survey, side: tuple[int, str], numbers: np.ndarray) -> dict[str, Any]:
    faces = [survey.faces[i] for i in numbers]
    records = [face.record for face in faces]
    points = np.stack([record.landmarks for record in records]).astype(np.float64)
    visible = np.stack([record.visible for record in records])
    known = np.isfinite(points).all(axis=2)
    context = survey.folders[side[0]].info.records.context
    # In units of the crop that the network gets, which is smaller than the recorded crop.
    crop = points * (1 + 2 * context) - context
    outside = known & ((crop.min(axis=2) < 0) | (crop.max(axis=2) > 1))
    annotated = [bool(np.isfinite(record.pose).all()) for record in records]
    posed = np.isfinite(survey.stats.pose[numbers]).all(axis=1)
    return {
        "name": survey.name_of(side),
        "faces": len(faces),
        "identities": len({record.identity for record in records}),
        "subsets": dict(sorted(Counter(record.subset or "none" for record in records).items())),
        "poses_annotated": sum(annotated),
        "poses_fitted": int(posed.sum()) - sum(annotated),
        "box_side_pixels": _quantiles(np.array([face.side for face in faces])),
        "landmark_range": [_round(crop[known].min()), _round(crop[known].max())],
        "landmarks_outside_crop": _round(outside.sum() / max(known.sum(), 1), 5),
        "faces_outside_crop": int(outside.any(axis=1).sum()),
        "landmarks_hidden": _round((~visible).mean(), 5),
        "landmarks_unknown": _round((~known).mean(), 5),
        "attributes": _attributes(survey, side, records),
    }


def _attributes(survey: Survey, side: tuple[int, str], records: list[Any]) -> dict[str, Any]:
    """Attribute -> class -> share of the faces; attributes without any value are left out."""
    shares: dict[str, Any] = {}
    for index, name in enumerate(survey.folders[side[0]].info.attributes):
        values = np.array([record.attributes[index] for record in records])
        if np.isnan(values).all():
            continue
        classes = get_attribute(name).classes
        shares[name] = {c: _round((values == n).mean(), 4) for n, c in enumerate(classes)}
        if np.isnan(values).any():
            shares[name]["unknown"] = _round(np.isnan(values).mean(), 4)
    return shares


def _quantiles(values: np.ndarray) -> dict[str, float]:
    names = {"min": 0, "5%": 5, "median": 50, "95%": 95, "max": 100}
    return {name: _round(np.percentile(values, q), 1) for name, q in names.items()}


def _round(value: Any, digits: int = 3) -> float:
    return round(float(value), digits)
