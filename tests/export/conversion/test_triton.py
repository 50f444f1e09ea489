"""A model repository of Triton's: its layout, and a configuration that fits the model's file."""

import json

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from converted import SHIPPED, contents, copy_of
from runs import REPOSITORY
from senet_landmark.cli.app import main
from senet_landmark.errors import InputError
from senet_landmark.export.conversion.convert import convert, real_crops
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.freeze import freeze
from senet_landmark.frozen.contract import load_contract
from senet_landmark.frozen.models import find_model

pytestmark = pytest.mark.slow

FIELDS = {
    "Tensor": {"name": (1, "string"), "data_type": (2, "DataType"), "dims": (4, "int64", True)},
    "Output": {"name": (1, "string"), "data_type": (2, "DataType"), "dims": (3, "int64", True),
               "label_filename": (4, "string")},
    "Batching": {"preferred_batch_size": (1, "int32", True),
                 "max_queue_delay_microseconds": (2, "uint64")},
    "ModelConfig": {"name": (1, "string"), "backend": (17, "string"),
                    "max_batch_size": (4, "int32"), "input": (5, "Tensor", True),
                    "output": (6, "Output", True), "dynamic_batching": (11, "Batching")},
}  # fmt: skip
"""The part of Triton's `model_config.proto` that is written: field -> (number, type, repeated)."""

TYPES = {"TYPE_FP32": 11}


def model_config():
    """The message `ModelConfig`: Triton's own where its client is installed, else that part."""
    try:
        from tritonclient.grpc import model_config_pb2
    except ImportError:
        pass
    else:
        return model_config_pb2.ModelConfig()
    kind = descriptor_pb2.FieldDescriptorProto
    scalars = {"string": 9, "int64": 3, "int32": 5, "uint64": 4}
    file = descriptor_pb2.FileDescriptorProto(name="part.proto", package="part", syntax="proto3")
    values = file.enum_type.add(name="DataType").value
    for name, number in {"TYPE_INVALID": 0, **TYPES}.items():
        values.add(name=name, number=number)
    for message, fields in FIELDS.items():
        made = file.message_type.add(name=message)
        for name, (number, of, *repeated) in fields.items():
            label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
            field = made.field.add(name=name, number=number, label=label)
            field.type = scalars.get(of, 14 if of == "DataType" else 11)
            if of not in scalars:
                field.type_name = f".part.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("part.ModelConfig")
    return message_factory.GetMessageClass(found)()


def check(folder, batches=True):
    """Reads config.pbtxt as protobuf text, and holds it against the .onnx; the two."""
    ort = pytest.importorskip("onnxruntime")
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config())
    assert config.name == folder.name and config.backend == "onnxruntime"
    session = ort.InferenceSession(folder / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    for described, tensors in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert {tensor.name for tensor in described} == {tensor.name for tensor in tensors}
        shapes = {tensor.name: tensor.shape for tensor in tensors}
        for tensor in described:
            assert tensor.data_type == TYPES["TYPE_FP32"]
            shape = shapes[tensor.name]
            assert list(tensor.dims) == (shape[1:] if batches else shape)
    assert all(tensor.type == "tensor(float)" for tensor in session.get_inputs())
    assert (config.max_batch_size > 1) == batches == config.HasField("dynamic_batching")
    return config, session


def test_command_of_the_documents(tmp_path, monkeypatch, capsys):
    page = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if "--to triton" in line]
    monkeypatch.chdir(tmp_path)
    assert main(line.split()[1:]) == 0
    told = capsys.readouterr().out
    assert "equal to senet-68 on 32 crops in ONNX Runtime and OpenCV: landmarks to " in told
    folder = tmp_path / "model_repository" / "senet-68"
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == ["1/model.onnx", "config.pbtxt", "contract.json"]
    config, session = check(folder)
    assert config.dynamic_batching.max_queue_delay_microseconds > 0
    contract = load_contract(SHIPPED)
    crops = real_crops(contract)[: config.max_batch_size].astype(np.float32)
    (found,) = session.run(["landmarks:0"], {"image:0": crops})
    expected = load_engine(SHIPPED, contract, "tensorflow")(crops)["landmarks"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    inside = json.loads((folder / "contract.json").read_text())
    assert inside["sha256"] == contract.sha256 and list(inside["conversions"]) == [".onnx"]


def test_labels_and_a_second_model_in_the_repository(tmp_path):
    model = copy_of(SHIPPED, tmp_path)
    for name in ("senet-68-attributes", model, model):  # the second time it is replaced
        convert(name, "triton", tmp_path / "repository")
    folders = sorted(path.name for path in (tmp_path / "repository").iterdir())
    assert folders == ["m", "senet-68-attributes"]
    folder = tmp_path / "repository" / "senet-68-attributes"
    config, _ = check(folder)
    (labelled,) = [tensor for tensor in config.output if tensor.label_filename]
    lines = (folder / labelled.label_filename).read_text().splitlines()
    assert labelled.name == "attributes:0" and len(lines) == labelled.dims[0]
    names = load_contract(find_model("senet-68-attributes")).attribute_names
    assert list(dict.fromkeys(line.partition(":")[0] for line in lines)) == list(names)


def test_a_fixed_batch_is_not_batched_by_triton(full_run, tmp_path):
    freeze(full_run.run, tmp_path / "two.pb", batch_size=2)
    made = convert(tmp_path / "two.pb", "triton", tmp_path, records=full_run.records)
    assert made.path == tmp_path / "two"
    config, _ = check(made.path, batches=False)
    assert config.max_batch_size == 0 and config.input[0].dims[0] == 2


def test_bad_input_is_told(tmp_path, monkeypatch):
    model = copy_of(SHIPPED, tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "other" / "m" / "photos").mkdir(parents=True)
    before = contents(tmp_path)
    for out, message in (
        ("file", "file: is a file. Give the folder of Triton's model repository"),
        ("other", "exists, and has no config.pbtxt"),
    ):
        with pytest.raises(InputError, match=message):
            convert(model, "triton", tmp_path / out)

    def failing(*_):
        raise ZeroDivisionError("of a library")

    monkeypatch.setattr("senet_landmark.export.conversion.convert.write_onnx", failing)
    with pytest.raises(InputError, match=r"not written.*ZeroDivisionError: of a library"):
        convert(model, "triton", tmp_path / "new")
    assert contents(tmp_path) == before and not list((tmp_path / "new").iterdir())
