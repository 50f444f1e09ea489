"""Which faces an epoch draws: those of rare groups more often."""

import numpy as np

from senet_landmark.data.record_store import RecordStore
from senet_landmark.face.skin import skin_tone, tone_classes


def tones_of(store: RecordStore) -> np.ndarray:
    """ITA in degrees of all records (`skin.skin_tone`), float64 [M]; NaN where unknown.

    Every picture is decoded for it; those that the store's cache has room for stay there.
    """
    tones = np.full(len(store), np.nan)
    for index in range(len(store)):
        number, picture = store.decodable(index)
        if number == index:
            points = store.record(index).landmarks * picture.shape[1::-1] - 0.5
            tones[index] = skin_tone(picture, points, store.scheme)
    return tones


def even_weights(tones: np.ndarray, share: float) -> np.ndarray:
    """How often each face is drawn, so that groups of skin tones become more equal.

    A group of n faces is drawn in proportion to n^(1 - share). A share of 0.5 is the square-root
    sampling of Mahajan et al., "Exploring the limits of weakly supervised pretraining", ECCV 2018,
    section 2.2.

    Args:
      tones: ITA in degrees [M]; NaN where unknown.
      share: 0: as often as all others; 1: each group as often as the others.

    Returns:
      float64 [M] with a mean of 1. Faces of unknown tone have 1.
    """
    groups = tone_classes(tones)
    known = groups >= 0
    weights = np.ones(len(tones))
    if known.any():
        counts = np.bincount(groups[known])
        weights[known] = counts[groups[known]] ** -share
        weights[known] /= weights[known].mean()
    return weights


def drawn(weights: np.ndarray, places: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The faces at places of an epoch's list of draws, int64, by systematic sampling.

    The list has as many draws as there are faces. A face is in it its weight's whole part of times,
    and once more in the share of epochs that is left: no chance leaves it out for long, as
    independent draws would.

    Args:
      weights: [M], with a mean of 1.
      places: int64, 0 to M - 1.
      starts: the random number of each place's epoch, 0 to 1.
    """
    ends = np.cumsum(weights)
    positions = (places + starts) * (ends[-1] / len(weights))
    return np.minimum(np.searchsorted(ends, positions, side="right"), len(weights) - 1)
