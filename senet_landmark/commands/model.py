"""Commands about a trained model: freeze, predict, evaluate."""

from pathlib import Path

import tyro

from senet_landmark.commands.common import BoxSource, DatasetName, EngineName, print_skipped
from senet_landmark.errors import InputError


def freeze(run: Path, out: Path, records: Path | None = None, batch_size: int = 0) -> None:
    """Best checkpoint -> one frozen .pb and its .json contract, checked on real crops.

    For example:
      senet-landmark freeze --run run --out model.pb

    Args:
      run: Folder of a training run.
      out: The .pb to write; the contract goes beside it.
      records: Records to check on, if not those of the run.
      batch_size: Faces that the graph takes at once; 0: any number.
    """
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from export.freeze import freeze as start

    result = start(run, out, records=records, batch_size=batch_size)
    print(
        f"{result.model} ({result.megabytes:.2f} MB) and {result.contract}, from "
        f"{result.checkpoint}: equal to {result.difference:.1e} of the crop on "
        f"{result.faces} faces."
    )


def predict(
    photos: tyro.conf.Positional[tuple[Path, ...]],
    out: Path = Path("predictions"),
    model: str | None = None,
    engine: EngineName = "opencv",
) -> None:
    """Photos -> landmarks.json and pictures with the points drawn.

    For example:
      senet-landmark predict photo.jpg
      senet-landmark predict folder/ another.png --model model.pb --out out

    Args:
      photos: Photos, and folders that are searched through.
      out: Folder for landmarks.json and the pictures.
      model: A .pb that freeze wrote, or the name of one that ships; by default senet-68.
      engine: What runs the model; opencv does not need TensorFlow.
    """
    if not photos:
        raise InputError("Give at least one photo or folder.")
    if engine == "tensorflow":
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
    from export.predict import predict_photos

    summary = predict_photos(list(photos), out, model=model, engine=engine)
    print(f"{summary['faces']} faces in {summary['photos']} photos -> {out}")
    for photo in summary["without_face"]:
        print(f"no face found: {photo}")
    print_skipped(summary["skipped"])


def evaluate(
    root: Path,
    out: Path,
    dataset: DatasetName = "300w",
    model: str | None = None,
    boxes: BoxSource = "landmarks",
    points: str = "auto",
    detector_model: Path | None = None,
    correct: bool = True,
    engine: EngineName = "opencv",
) -> None:
    """A frozen model on annotated photos -> metrics, printed and in metrics.json.

    For example:
      senet-landmark evaluate --model model.pb --dataset 300w --root 300w/helen/testset --out eval
      senet-landmark evaluate --model model.pb --root 300w/helen/testset --out eval --boxes dlib

    Args:
      root: Folder of the data set.
      out: Folder for metrics.json.
      dataset: Which reader; data_tools/datasets/ has the layout of each at its file's top.
      model: A .pb that freeze wrote, or the name of one that ships; by default senet-68.
      boxes: The true landmarks' own, the annotation's, or a detector's.
      points: Which annotation, where a data set has several; a wrong one lists them.
      detector_model: dlib's mmod_human_face_detector.dat, for dlib_cnn.
      correct: Bring the boxes to the canonical one first; --no-correct shows what that is worth.
      engine: What runs the model.
    """
    if engine == "tensorflow":
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
    from export.evaluate import evaluate_model

    metrics = evaluate_model(
        model, dataset, root, out, boxes=boxes, points=points, engine=engine,
        detector_model=detector_model, correct=correct,
    )  # fmt: skip
    rows = {"all": metrics, **{f"yaw {band}": of for band, of in metrics["by_yaw"].items()}}
    print("              n  nme_inter_ocular  nme_bbox_size")
    for name, row in rows.items():
        print(
            f"{name:10}{row['n']:5}{row['nme_inter_ocular']:16.2f} %{row['nme_bbox_size']:13.2f} %"
        )
    print(f"missed faces: {metrics['missed_faces']}")
    print_skipped(metrics["skipped"], Path(out) / "metrics.json")
