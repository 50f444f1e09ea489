"""TF_CONFIG: who is who."""

import json
import os
import re
import subprocess

import pytest
import yaml

from runs import REPOSITORY
from senet_landmark.errors import InputError
from senet_landmark.training.distributed.cluster import cluster_from_environment

LOCAL = ["a:1", "b:2", "c:3"]


def described(cluster, job="worker", index=0):
    value = {"cluster": cluster, "task": {"type": job, "index": index}}
    return cluster_from_environment({"TF_CONFIG": json.dumps(value)})


def test_without_a_cluster_training_is_one_process():
    assert cluster_from_environment({}) is None
    assert cluster_from_environment({"TF_CONFIG": "{}"}) is None
    assert cluster_from_environment({"TF_CONFIG": '{"task": {"type": "worker"}}'}) is None
    assert described({"worker": ["a:1"]}) is None
    assert described({"chief": ["a:1"]}, "chief") is None


def test_who_is_who():
    chief = described({"chief": ["a:1"], "worker": ["b:2", "c:3"]}, "chief")
    second = described({"chief": ["a:1"], "worker": ["b:2", "c:3"]}, "worker", 1)
    assert (chief.workers, chief.part, chief.is_chief, chief.parameter_role) == (
        3,
        0,
        True,
        "chief",
    )
    assert (second.workers, second.part, second.is_chief) == (3, 2, False)
    first = described({"worker": LOCAL}, "worker", 0)
    assert (first.workers, first.is_chief, first.parameter_role) == (3, True, "worker")
    holder = described({"worker": ["a:1"], "ps": ["b:2", "c:3"]}, "ps", 1)
    assert (holder.workers, holder.is_chief, holder.parameter_tasks) == (1, False, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"cluster": 3}', "its cluster is 3"),
        ('{"cluster": {"master": ["a:1"]}}', "unknown job 'master'"),
        ('{"cluster": {"worker": "a:1"}}', "needs a list of HOST:PORT"),
        ('{"cluster": {"worker": ["a"]}}', "needs a list of HOST:PORT"),
        ('{"cluster": {"worker": ["a:99999"]}}', "needs a list of HOST:PORT"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "its task None is none"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 1}}',
            "none of index 1",
        ),
        (
            '{"cluster": {"ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
            "neither chief nor worker",
        ),
        (
            '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
            "more than one chief",
        ),
    ],
)
def test_bad_tf_config_is_told(text, message):
    with pytest.raises(InputError, match=message) as error:
        cluster_from_environment({"TF_CONFIG": text})
    assert "It looks like" in str(error.value)


def test_manifest_of_the_documentation_describes_the_cluster():
    text = (REPOSITORY / "docs" / "distributed.md").read_text(encoding="utf-8")
    (manifest,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    service, job = yaml.safe_load_all(manifest)
    pods = job["spec"]["template"]["spec"]
    assert service["metadata"]["name"] == pods["subdomain"]
    (shell,) = pods["containers"][0]["args"]
    shell = re.sub(r"exec senet-landmark.*", 'echo "$TF_CONFIG"', shell)
    found = []
    for index in range(job["spec"]["completions"]):
        environment = {**os.environ, "JOB_COMPLETION_INDEX": str(index)}
        output = subprocess.run(
            ["bash", "-c", shell], env=environment, check=True, capture_output=True, text=True
        ).stdout
        found.append(cluster_from_environment({"TF_CONFIG": output}))
    assert [of.part for of in found] == list(range(4)) and found[0].is_chief
    assert {of.workers for of in found} == {4}
    for of in found:
        host = f"{job['metadata']['name']}-{of.part}.{pods['subdomain']}:2222"
        assert of.addresses[of.role][of.index] == host
