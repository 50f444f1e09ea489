"""The command that answers HTTP requests: serve."""

import sys
from pathlib import Path
from typing import Annotated

from senet_landmark.cli.choices import DetectorName, EngineName
from senet_landmark.cli.parser import Value
from senet_landmark.errors import InputError


def serve(
    model: Annotated[tuple[str, ...], Value("MODEL [MODEL ...]")] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    engine: EngineName | None = None,
    detector: DetectorName = "blazeface",
    detector_model: Path | None = None,
    min_face: float = 0.0,
    most_faces: int = 0,
    max_megabytes: float = 20.0,
    max_megapixels: float = 100.0,
) -> None:
    """A page for photos and the camera, and an HTTP endpoint; by default on this machine only.

    Needs the extra `serve`: pip install "senet_landmark[serve]". Photos are not stored. Ctrl-C
    stops it.

    For example:
      senet-landmark serve
      senet-landmark serve --model senet-68 model.pb --port 8080
      curl --data-binary @photo.jpg -H "Content-Type: image/jpeg" \\
        http://127.0.0.1:8000/v1/landmarks

    Args:
      model: .pb files that freeze wrote, or names of models that ship; by default all that ship.
        The first is used where a request does not name one.
      host: Address to listen on; 0.0.0.0: all addresses of this machine.
      port: Port to listen on; 0: any free one.
      engine: Runtime for the models; by default the fastest that is installed.
      detector: How faces are found.
      detector_model: File of the detector: mmod_human_face_detector.dat for dlib_cnn,
        face_detection_yunet_2023mar.onnx for yunet; the others need none.
      min_face: Side of the smallest face, in pixels; 0: 40, with blazeface 2% of the photo's longer
        side where that is more.
      most_faces: Largest number of faces in a photo; 0: any.
      max_megabytes: Largest file that is accepted.
      max_megapixels: Largest photo that is accepted.
    """
    try:
        from senet_landmark.export.service.app import address, bind, run
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "uvicorn", "python_multipart"):
            raise
        raise InputError(
            f'serve needs {error.name}. Install it with: pip install "senet_landmark[serve]"'
        ) from error
    if engine == "tensorflow":
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
    from senet_landmark.detectors.interface import SearchOptions
    from senet_landmark.export.service.answer import load_models
    from senet_landmark.export.service.guard import is_loopback
    from senet_landmark.export.service.input import Limits

    limits = Limits(megabytes=max_megabytes, megapixels=max_megapixels)
    with bind(host, port) as bound:
        models = load_models(
            model, engine, detector=detector, detector_model=detector_model,
            search=SearchOptions(min_face, most_faces),
        )  # fmt: skip
        if not is_loopback(bound.getsockname()[0]):
            print(
                f"warning: {host} is not local. Whoever reaches this machine can use the service; "
                "it has no password and no encryption. If other people use it, put a web server "
                "in front that has both.",
                file=sys.stderr,
            )
        names = ", ".join(models.predictors)
        print(f"{names} on {address(bound)} (Ctrl-C ends it)", flush=True)
        run(models, bound, limits)
