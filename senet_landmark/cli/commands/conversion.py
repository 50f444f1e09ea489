"""The command `convert`: a frozen model in the formats of other runtimes."""

from pathlib import Path
from typing import Annotated

from senet_landmark.cli.choices import ConversionName
from senet_landmark.cli.parser import Value


def convert(
    model: Annotated[str, Value("MODEL")],
    to: ConversionName,
    out: Path | None = None,
    records: Path | None = None,
    onnxruntime_web: Annotated[Path | None, Value("FOLDER")] = None,
) -> None:
    """Frozen .pb -> ONNX, TFLite, SavedModel, Triton's repository, or a page for browsers; checked.

    For example:
      senet-landmark convert --model model.pb --to onnx
      senet-landmark convert --model model.pb --to tflite-int8 --records records
      senet-landmark convert --model senet-68 --to triton --out model_repository
      senet-landmark convert --model senet-68 --to web --out page

    Args:
      model: A .pb that freeze wrote, or the name of one that ships.
      to: Format to write; tflite-int8 has a third of the size, web is a folder for any web server.
      out: The file to write, the folder of a SavedModel or page, or Triton's model repository, in
        which the model gets a folder. By default it is beside the model and has the model's name,
        with -int8.tflite, _savedmodel, _triton or _web at the end. A model that ships is converted
        into the current folder.
      records: Records for the check; by default an embedded portrait. tflite-int8 needs them.
      onnxruntime_web: For web: folder dist of the npm package onnxruntime-web. By default
        node_modules/onnxruntime-web/dist, or else npm fetches it.
    """
    if to == "web" and (page := _ready_page(model, out, onnxruntime_web)):
        return _tell_of_page(page)
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from senet_landmark.export.conversion.convert import convert as start
    from senet_landmark.export.engines.registry import ENGINES
    from senet_landmark.export.freezing.parity import described

    conversion = start(model, to, out, records=records, onnxruntime_web=onnxruntime_web)
    if to == "web":
        return _tell_of_page(conversion.path)
    engines = " and ".join(ENGINES[name].title for name in conversion.checked_in)
    print(f"{conversion.path} ({conversion.megabytes:.2f} MB), with {conversion.contract}")
    if not (cost := conversion.quantised):
        print(
            f"equal to {model} on {conversion.crops} crops in {engines}: "
            f"{described(conversion.differences)}."
        )
        if conversion.photos is not None:
            print(
                f"signature photos: landmarks to {conversion.photos:.1e} of the crop as predict's "
                "in one pass, on a JPEG."
            )
        return
    print(
        f"NME on {cost.held_out} held-out faces: {cost.nme:.3f}%, that of {model} "
        f"{cost.float_nme:.3f}%; calibrated on {cost.calibrated_on} training faces.\n"
        f"{conversion.megabytes:.2f} MB and {cost.latency_ms:.2f} ms a crop, in 32 bits "
        f"{cost.float_megabytes:.2f} MB and {cost.float_latency_ms:.2f} ms ({engines}, one thread)."
    )


def _ready_page(model: str, out: Path | None, onnxruntime_web: Path | None) -> Path | None:
    """Writes the page of a model that has an .onnx, without TensorFlow; None: it has none."""
    from senet_landmark.export.conversion.formats import default_path
    from senet_landmark.export.web.site import ready_onnx, write_site
    from senet_landmark.frozen.contract import load_contract
    from senet_landmark.frozen.models import find_model

    pb = find_model(model)
    contract = load_contract(pb)
    if pb.suffix != ".pb" or not (onnx := ready_onnx(pb, contract)):
        return None
    return write_site(onnx, contract, out or default_path(model, pb, "web"), onnxruntime_web).folder


def _tell_of_page(folder: Path) -> None:
    from senet_landmark.export.web.site import SETTINGS
    from senet_landmark.io.files import read_json

    files = [path for path in folder.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    version = read_json(folder / SETTINGS)["onnxruntime_web"]
    print(
        f"{folder} ({megabytes:.2f} MB, onnxruntime-web {version}). Any web server can serve it:\n"
        f"  python3 -m http.server 8000 --bind 127.0.0.1 --directory {folder}"
    )
