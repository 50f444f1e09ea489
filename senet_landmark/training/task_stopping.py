"""Task-wise early stopping: an auxiliary task is stopped when it no longer helps the landmarks.

Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014, section 3.2: each
task has its own criterion, because tasks differ in difficulty and converge at different rates. A
task that begins to over-fit would harm the features that it shares with the landmarks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

STRIP = 5
"""Number of validations over which the trend of the training error is measured: k in the paper."""


@dataclass(frozen=True)
class TaskHistory:
    """The errors of one auxiliary task so far.

    Attributes:
      train: mean training error before each validation.
      validation: validation error at each validation.
      stopped_at: the step at which the task was stopped; 0: it has not been stopped.
    """

    train: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()
    stopped_at: int = 0


def stopping_measure(
    train: Sequence[float], validation: Sequence[float], strip: int = STRIP
) -> float:
    """The left side of the paper's criterion (equation 6): large if a task is to be stopped.

    k med(E_tr) / (sum(E_tr) - k med(E_tr)), over the last k + 1 training errors, is small while the
    training error falls quickly; (E_val - min E_tr) / min E_tr is the gap to the validation error.
    The paper multiplies the gap by a factor lambda, which is 1 here.

    Args:
      train: training errors, each above 0, oldest first.
      validation: as many validation errors.
      strip: k.

    Returns:
      The product of the two; 0 if there are fewer than `strip` + 1 errors.
    """
    if len(train) <= strip:
        return 0.0
    last = np.asarray(train[-strip - 1 :], np.float64)
    middle = strip * np.median(last)
    least = max(min(train), 1e-12)
    rest = last.sum() - middle
    # After a sudden fall of the training error the rest may be negative: then do not stop.
    trend = middle / rest if rest > 0 else 0.0
    return float(trend * (validation[-1] - least) / least)


def after_validation(
    histories: Mapping[str, TaskHistory],
    train: Mapping[str, float],
    validation: Mapping[str, float],
    threshold: float,
    step: int,
) -> dict[str, TaskHistory]:
    """Adds one validation to the histories, and stops tasks whose measure exceeds `threshold`.

    Args:
      histories: task -> its history; a new task starts a history.
      train: task -> mean training error since the last validation.
      validation: task -> validation error. Tasks that are not in it, e.g. the landmarks, have no
        history and are never stopped.
      threshold: epsilon in the paper.
      step: step of this validation.

    Returns:
      Task -> its updated history.
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
