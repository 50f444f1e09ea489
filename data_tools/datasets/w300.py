"""300W (Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013): photos with iBUG `.pts`.

    ROOT/…/NAME.jpg or .png        anywhere below ROOT, with
    ROOT/…/NAME.pts                the points, 1-based

The folder decides the published test subset: `ibug` is the challenging subset, `helen/testset` and
`lfpw/testset` are the common subset, and both together the full one; `01_Indoor` and `02_Outdoor`
are the challenge's own 600 photos. All other folders (`afw`, `helen/trainset`, `lfpw/trainset`) are
for training.
"""

from collections.abc import Iterator
from pathlib import Path

from senet_landmark.data_tools.datasets.reading.files import (
    annotation_of,
    name_of,
    photos_and_annotations,
)
from senet_landmark.data_tools.datasets.samples import Entry, Sample, identity_of, sample_of
from senet_landmark.io.pts import read_pts


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """Every photo and every `.pts` in and below `root`, sorted by path.

    A photo without `.pts`, or a `.pts` without photo, is listed too: reading it reports the error.
    """
    del points
    # `root` may be a part of the published tree: then its own path decides the subset.
    above = tuple(part.lower() for part in root.resolve().parts[-2:])
    for photo, annotation in photos_and_annotations(root, ".pts"):
        below = photo.relative_to(root)
        source = name_of(photo, root)
        subset = subset_of((*above, *(part.lower() for part in below.parts[:-1])))
        yield Entry(
            photo=photo,
            source=source,
            identity=identity_of(source),
            annotations=(annotation,),
            scheme="300w_68",
            subset=subset,
            test=subset != "training",
        )


def subset_of(folders: tuple[str, ...]) -> str:
    """training, common, challenging or private, from the lower-case folders of a photo's path."""
    if "ibug" in folders:
        return "challenging"
    if "testset" in folders:
        return "common"
    if "01_indoor" in folders or "02_outdoor" in folders:
        return "private"
    return "training"


def load(entry: Entry) -> Sample:
    """Reads one photo's points. Raises InputError that names the `.pts` file."""
    return sample_of(entry, read_pts(annotation_of(entry)))
