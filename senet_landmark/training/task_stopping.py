"""Task-wise early stopping: a further task is left alone once it no longer helps the landmarks.

Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014, section 3.2: each
task has its own criterion, as tasks differ in difficulty and converge at different rates. One that
begins to over-fit would harm the features that it shares with the landmarks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

STRIP = 5
"""Validations over which the trend of the training error is taken: k of the paper."""


@dataclass(frozen=True)
class TaskHistory:
    """One task's errors so far.

    Attributes:
      train: mean training error before each validation.
      validation: validation error at each.
      stopped_at: the step from which on the task is left alone; 0: it is not.
    """

    train: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()
    stopped_at: int = 0


def stopping_measure(
    train: Sequence[float], validation: Sequence[float], strip: int = STRIP
) -> float:
    """The left side of the paper's criterion (equation 6): large where a task is to be stopped.

    k med(E_tr) / (sum(E_tr) - k med(E_tr)), over the last k + 1 training errors, is small while the
    training error falls quickly; (E_val - min E_tr) / min E_tr is the gap to the validation error.
    The paper's factor of the latter, lambda, is 1.

    Args:
      train: training errors, each above 0, oldest first.
      validation: as many validation errors.
      strip: k.

    Returns:
      The product; 0 where there are not yet `strip` + 1 errors.
    """
    if len(train) <= strip:
        return 0.0
    last = np.asarray(train[-strip - 1 :], np.float64)
    middle = strip * np.median(last)
    least = max(min(train), 1e-12)
    rest = last.sum() - middle
    # After a sudden fall of the training error the rest may be below 0: no time to stop.
    trend = middle / rest if rest > 0 else 0.0
    return float(trend * (validation[-1] - least) / least)


def after_validation(
    histories: Mapping[str, TaskHistory],
    train: Mapping[str, float],
    validation: Mapping[str, float],
    threshold: float,
    step: int,
) -> dict[str, TaskHistory]:
    """The histories with one more validation, and stopped where the measure is above `threshold`.

    Args:
      histories: task -> its history; a task that is not there yet begins one.
      train: task -> mean training error since the last validation.
      validation: task -> validation error; tasks that are not in it, the landmarks for one, have no
        history and never stop.
      threshold: epsilon of the paper.
      step: of this validation.
    """
    updated = dict(histories)
    for task, error in validation.items():
        before = updated.get(task, TaskHistory())
        now = replace(
            before,
            train=(*before.train, train[task]),
            validation=(*before.validation, error),
        )
        if not now.stopped_at and stopping_measure(now.train, now.validation) > threshold:
            now = replace(now, stopped_at=step)
        updated[task] = now
    return updated
