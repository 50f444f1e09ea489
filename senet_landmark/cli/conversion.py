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
) -> None:
    """Frozen .pb -> ONNX, TFLite, SavedModel or Triton's repository, each checked on real crops.

    For example:
      senet-landmark convert --model model.pb --to onnx
      senet-landmark convert --model model.pb --to tflite-int8 --records records
      senet-landmark convert --model senet-68 --to triton --out model_repository

    Args:
      model: A .pb that freeze wrote, or the name of one that ships.
      to: Format to write; tflite-int8 has a third of the size.
      out: The file to write, the folder of a SavedModel, or Triton's model repository, in which
        the model gets a folder. By default it is beside the model and has the model's name, with
        -int8.tflite, _savedmodel or _triton at the end. A model that ships is converted into the
        current folder.
      records: Records for the check; by default an embedded portrait. tflite-int8 needs them.
    """
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from senet_landmark.export.conversion.convert import convert as start
    from senet_landmark.export.engines.registry import ENGINES
    from senet_landmark.export.freezing.parity import described

    conversion = start(model, to, out, records=records)
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
