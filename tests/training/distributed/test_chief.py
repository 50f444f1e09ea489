"""When the chief of a distributed run goes back to a checkpoint, and when it ends."""

import threading
from types import SimpleNamespace

import pytest
import tensorflow.compat.v1 as tf

from runs import short
from senet_landmark.training.distributed.chief import Chief

LOST = tf.errors.UnavailableError(None, None, "connection refused")


class Session:
    """Runs nothing."""

    def run(self, fetches, feed=None):
        return fetches


@pytest.fixture
def stopped():
    return threading.Event()


@pytest.fixture
def chief(stopped):
    """Of a run whose parameters another process holds."""
    cluster = SimpleNamespace(
        workers=2,
        parameter_role="ps",
        start_server=lambda threads, replicas: SimpleNamespace(target="grpc://here"),
        wait_for_parameters=lambda stopped: not stopped.is_set(),
    )
    signals = SimpleNamespace(initializer="initializer", finish="finish")
    graph = SimpleNamespace(signals=signals, exchange=None, training=None)
    return Chief(cluster, graph, short().train, stopped)


def sessions(chief, *ends):
    """Runs sessions that end one after the other so; what was called, and what came out."""
    calls, rest = [], list(ends)

    def run_session():
        calls.append("session")
        end = rest.pop(0)
        if end is not None:
            raise end

    return chief.run_sessions(run_session, lambda: calls.append("back")), calls


def test_one_session_where_nothing_is_lost(chief):
    assert sessions(chief, None) == (True, ["session"])
    assert chief.workers == 2 and chief.target == "grpc://here"


def test_lost_parameters_lead_back_to_the_checkpoint(chief, capsys):
    expected = ["session", "back", "session", "back", "session"]
    assert sessions(chief, LOST, LOST, None) == (True, expected)
    assert capsys.readouterr().err.count("Lost the parameters") == 2


def test_other_errors_are_not_taken_for_a_loss(chief):
    error = tf.errors.InvalidArgumentError(None, None, "shapes")
    with pytest.raises(tf.errors.InvalidArgumentError):
        sessions(chief, error)


def test_nobody_is_missed_after_the_end(chief, capsys):
    chief.finish(Session())
    assert sessions(chief, LOST) == (True, ["session"])
    assert not capsys.readouterr().err


def test_signal_while_the_parameters_are_waited_for(chief, stopped):
    stopped.set()
    assert sessions(chief, None) == (False, [])
