"""The command pseudo-label."""

import shlex
from pathlib import Path
from typing import Annotated

from senet_landmark.cli.choices import DatasetName
from senet_landmark.cli.common import print_skipped
from senet_landmark.cli.parser import Value


def pseudo_label(
    root: Path,
    out: Path,
    dataset: DatasetName = "mtfl",
    points: str = "auto",
    model: Annotated[tuple[str, ...], Value("MODEL [MODEL ...]")] = ("senet-68",),
    most_error: float = 6.0,
    most_disagreement: float = 1.0,
    runner: str = "local",
    beam: str = "",
) -> None:
    """A data set's training faces -> labels.csv with the landmarks that trained models predict.

    For data sets with few landmarks, such as MTFL with five. Faces on which the models disagree are
    left out, and so are those whose labels are far from the data set's own landmarks. Faces for
    testing are not labelled.

    For example:
      senet-landmark pseudo-label --dataset mtfl --root mtfl --out labelled
      senet-landmark build-records --dataset csv --root labelled --out records-labelled
      senet-landmark train --records records --train.more-records records-labelled --run run

    Args:
      root: Folder of the data set.
      out: Folder for labels.csv, report.json and contact_sheet.png.
      dataset: Name of the data set.
      points: Which annotation, where a data set has several; auto: the usual one.
      model: .pb files, or names of models that ship. Each model predicts on the photo and on its
        mirror image; the label is the mean of all these predictions.
      most_error: Largest mean distance of a label from the data set's landmarks, in percent of the
        size of their box.
      most_disagreement: Largest distance of the single predictions from their mean, in percent of
        the size of the face box.
      runner: local, or a runner of Apache Beam (pip install "senet_landmark[beam]"), such as
        DirectRunner, DataflowRunner, FlinkRunner or SparkRunner.
      beam: Options for that runner, as Beam writes them: --beam="--project=p --region=r"; by
        default none.
    """
    from senet_landmark.export.evaluation.face_sources import Photos
    from senet_landmark.export.labelling.pseudo_labels import write_pseudo_labels

    run = None
    if runner != "local":
        from senet_landmark.export.labelling.labels_beam import beam_run

        run = beam_run(out, runner, shlex.split(beam))
    report = write_pseudo_labels(
        model, Photos(dataset, root, points), out, most_error=most_error,
        most_disagreement=most_disagreement, run=run,
    )  # fmt: skip
    print(
        f"{report['labelled']} faces -> {out / 'labels.csv'}; left out: {report['far']} far from "
        f"the data set's landmarks, {report['doubtful']} doubtful. Median distance from the "
        f"landmarks {report['median_error']:.2f}%, of the predictions from their mean "
        f"{report['median_disagreement']:.2f}%."
    )
    print_skipped(report["skipped"], out / "report.json")
    print(f"Look at {out / 'contact_sheet.png'}")
