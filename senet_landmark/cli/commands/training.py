"""Commands that train: quickstart, shape-model, train."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from senet_landmark.cli.choices import DatasetName, PresetName
from senet_landmark.config import (
    AugmentConfig,
    Config,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
    TrainConfig,
)
from senet_landmark.errors import InputError


def quickstart(
    out: Path = Path("quickstart"),
    faces: int = 400,
    minutes: float = 1.25,
    preset: PresetName = "quickstart",
    dataset: DatasetName = "300w_lp",
    root: Path | None = None,
) -> None:
    """The whole pipeline on faces that it makes itself, or on yours; about 3 minutes on 2 cores.

    It makes a small 300W-LP or WFLW tree from one public-domain portrait, or takes a data set of
    yours. It builds records, trains, freezes, evaluates on unseen faces, and predicts on the real
    portrait. After an interruption, give the same command again: it goes on.

    For example:
      senet-landmark quickstart --out quickstart
      senet-landmark quickstart --preset pfld --dataset wflw --out quickstart-98
      senet-landmark quickstart --preset pfld --dataset wflw --root WFLW --minutes 600 --out wflw

    Args:
      out: Folder for all results: a new or empty one, or that of the same command, interrupted.
      faces: Number of faces to make.
      minutes: Minutes of training.
      preset: Recipe of the training.
      dataset: Layout of the faces that are made: 300w_lp (68 points) or wflw (98). With --root, the
        data set that is there.
      root: Folder of a data set of yours, laid out as published; by default faces are made.
    """
    from senet_landmark.cli.commands.predict_messages import note_unused
    from senet_landmark.runtime import start_tensorflow

    if root is not None:
        note_unused({"--faces": faces != 400}, "with --root")
    start_tensorflow()
    from senet_landmark.cli.commands.quickstart import quickstart as start

    start(out, faces=faces, minutes=minutes, preset=preset, dataset=dataset, root=root)


def shape_model(records: Path, out: Path = Path("shape_model.json"), share: float = 0.9) -> None:
    """Records -> the active shape model of their training faces, for the ASM-assisted loss.

    Training without --loss.shape-model fits its own. A picture beside --out shows the modes.

    For example:
      senet-landmark shape-model --records records --out shape_model.json --share 0.95
      senet-landmark train --preset asmnet --records records --run run \\
        --loss.shape-model shape_model.json

    Args:
      records: Folder that build-records wrote.
      out: The .json to write.
      share: Share of the variance of the shapes to keep.
    """
    from senet_landmark.runtime import start_tensorflow

    start_tensorflow()
    from senet_landmark.data.input_pipeline import RecordStore, shape_model_of
    from senet_landmark.data.records import load_records_info, shard_paths
    from senet_landmark.face.shape_model import save_shape_model
    from senet_landmark.io.images import write_picture
    from senet_landmark.visualisation.drawing import draw_shape_modes

    if out.suffix != ".json":
        raise InputError(f"{out}: the name of a shape model ends in .json.")
    info = load_records_info(records)
    model = shape_model_of(RecordStore(shard_paths(records, info, "train"), cache_mb=0), share)
    save_shape_model(out, model)
    picture = out.with_suffix(".png")
    write_picture(
        picture, draw_shape_modes(model.mean, model.components, model.variances, model.share)
    )
    print(
        f"{len(model.variances)} components have {model.share:.1%} of the variance of "
        f"{model.shapes} faces and their mirror images -> {out}; look at {picture}"
    )


def _of_one_length(given: TrainConfig, preset: TrainConfig) -> TrainConfig:
    """Steps that were asked for take the place of the epochs that a preset has."""
    if given.steps == preset.steps or not given.epochs:
        return given
    if given.epochs != preset.epochs:
        raise InputError(
            f"--steps {given.steps} and --train.epochs {given.epochs} are two lengths of one run. "
            "Give one of them."
        )
    return replace(given, epochs=0)


def make_train(default: Config) -> Callable[..., None]:
    """The `train` command; a preset gives the defaults of its options."""

    def train(
        records: Path,
        run: Path,
        preset: PresetName = "senet",
        network: NetworkConfig = default.network,
        augment: AugmentConfig = default.augment,
        loss: LossConfig = default.loss,
        schedule: ScheduleConfig = default.schedule,
        train: TrainConfig = default.train,
    ) -> None:
        """Records -> checkpoints, curves, a report.

        Ctrl-C saves and stops; the same command again resumes. With TF_CONFIG set, the same
        command on several machines is one run.

        For example:
          senet-landmark train --records records --run run --minutes 25
          senet-landmark train --preset senet_original --records records --run run --steps 1000
          senet-landmark train --records records --run run-l2 --loss.name l2 --train.batch-size 32
          senet-landmark train --records records-5 --run run-5 --train.start-from run

        Args:
          records: Folder that build-records wrote.
          run: Folder of the run. A run that is there already is resumed.
          preset: Recipe that the run begins with; it sets the defaults of the options below.
          network: The network.
          augment: Random changes of training faces.
          loss: The loss.
          schedule: The learning rate.
          train: The training loop.
        """
        from senet_landmark.runtime import start_tensorflow

        start_tensorflow()
        from senet_landmark.training.train import train as start

        config = replace(
            default,
            preset=preset,
            network=network,
            augment=augment,
            loss=loss,
            schedule=schedule,
            train=_of_one_length(train, default.train),
        )
        result = start(config, records, run)
        if result.ended in ("worker", "ps"):
            print(f"{result.ended} done" + (f" at step {result.steps}." if result.steps else "."))
            return
        ended = {"interrupted": "Interrupted, saved", "early_stopped": "Stopped early"}
        best = "none" if result.best_nme is None else f"{result.best_nme:.2f}%"
        mean_loss = "" if result.loss is None else f"loss {result.loss:.4g}, "
        print(
            f"{ended.get(result.ended, 'Done')} at step {result.steps} after {result.minutes:.1f} "
            f"minutes: {mean_loss}best validation NME {best} "
            f"(step {result.best_step}).\nLook at {run / 'report.html'}"
        )
        if not result.interrupted:
            print(f"Freeze it: senet-landmark freeze --run {run} --out model.pb")

    return train
