"""The scalars that a run wrote."""

import tensorflow.compat.v1 as tf


def scalars(run):
    """Tag -> step -> value of a run's summaries."""
    found = {}
    for events in sorted(run.glob("events*")):
        for event in tf.train.summary_iterator(str(events)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found
