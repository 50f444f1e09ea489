"""Who is on the recorded faces: kept beside the records, and apart between their splits.

`identities.json` saves whoever asks for identities alone from parsing every record. It is used for
a shard where it fits that file's records; otherwise, and for records that were built without it,
the records are parsed.
"""

import contextlib
import hashlib
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from senet_landmark.config import from_json, to_json
from senet_landmark.data.records import RecordError, RecordsInfo, parse_example, shard_paths
from senet_landmark.data.tfrecords import frames_in, framing_of
from senet_landmark.errors import InputError
from senet_landmark.io.files import read_json, write_json

IDENTITIES_NAME = "identities.json"


@dataclass(frozen=True)
class ShardIdentities:
    """Who is in one shard.

    Attributes:
      digest: SHA-256, hexadecimal, of the identities together with the length and the stored
        checksum of each record.
      identities: of its records, in their order.
    """

    digest: str = ""
    identities: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptIdentities:
    """What `identities.json` holds: file name of a shard -> who is in it."""

    shards: dict[str, ShardIdentities] = field(default_factory=dict)


def save_identities(folder: Path | str, shards: Mapping[str, Sequence[str]]) -> None:
    """Writes `identities.json` beside finished shards.

    Args:
      folder: of the records.
      shards: file name of a shard -> the identities of its records, in their order.

    Raises:
      InputError: a file is absent, or is not whole.
    """
    folder = Path(folder)
    kept = {
        name: ShardIdentities(_digest(folder / name, identities), tuple(identities))
        for name, identities in shards.items()
    }
    write_json(folder / IDENTITIES_NAME, to_json(KeptIdentities(kept)))


def identities(folder: Path | str, info: RecordsInfo) -> dict[str, list[str]]:
    """Name of each split that has records -> the identities of its faces, in their order.

    Where records have to be parsed, damaged ones are passed over: whoever reads the faces
    (`RecordStore`) counts them.

    Raises:
      InputError: a file is gone, or is not of this schema.
    """
    shards = _kept_identities(Path(folder))
    by_split: dict[str, list[str]] = {}
    for split, names in info.splits.items():
        for path in shard_paths(folder, info, split) if names else []:
            kept = shards.get(path.name)
            if kept and not _fits(path, kept):
                _tell(path.with_name(IDENTITIES_NAME), f"does not fit {path.name}")
                kept = None
            members = kept.identities if kept else _parsed_identities(path)
            if members:
                by_split.setdefault(split, []).extend(members)
    return by_split


def shared_identities(sides: dict[str, list[str]]) -> dict[str, list[str]]:
    """Identities that are on more than one side -> the sides; empty where the split is clean.

    Args:
      sides: name of a side -> the identities of its faces.
    """
    where: dict[str, set[str]] = {}
    for name, members in sides.items():
        for identity in members:
            where.setdefault(identity, set()).add(name)
    return {key: sorted(names) for key, names in sorted(where.items()) if len(names) > 1}


def check_splits_apart(folder: Path | str, info: RecordsInfo) -> None:
    """Refuses records whose training and held-out or test faces share an identity.

    Records that were split by view share them by intention (`RecordsConfig.split_by`), and pass.

    Raises:
      InputError: naming some of the identities.
    """
    if info.records.split_by == "view":
        return
    if shared := shared_identities(identities(folder, info)):
        some = ", ".join(f"{k} ({' and '.join(v)})" for k, v in list(shared.items())[:3])
        raise InputError(
            f"{folder}: {len(shared)} identities are in more than one split: {some}. Figures of "
            "such records are too good. Build them anew with `senet-landmark build-records`."
        )


def _kept_identities(folder: Path) -> dict[str, ShardIdentities]:
    """What stands in `identities.json`; nothing where it is absent or damaged."""
    path = folder / IDENTITIES_NAME
    if not path.exists():
        return {}
    try:
        return from_json(KeptIdentities, read_json(path), str(path)).shards
    except InputError as error:
        _tell(path, f"cannot be used ({error})")
        return {}


def _fits(path: Path, kept: ShardIdentities) -> bool:
    with contextlib.suppress(InputError):  # a damaged file fits nothing
        return _digest(path, kept.identities) == kept.digest
    return False


def _digest(path: Path, identities: Sequence[str]) -> str:
    """See `ShardIdentities.digest`; no record's data are read."""
    digest = hashlib.sha256()
    framing = list(framing_of(path))
    for length, checksum in framing:
        digest.update(struct.pack("<QI", length, checksum))
    for identity in identities:
        digest.update(identity.encode(errors="surrogatepass") + b"\0")
    digest.update(struct.pack("<QQ", len(framing), len(identities)))
    return digest.hexdigest()


def _parsed_identities(path: Path) -> list[str]:
    members = []
    for frame in frames_in(path):
        with contextlib.suppress(RecordError):
            if not frame.fault:
                record = parse_example(frame.data, f"{path}, record {frame.number}")
                members.append(record.identity)
    return members


def _tell(path: Path, problem: str) -> None:
    print(f"{path}: {problem}; the records themselves are read instead.", file=sys.stderr)
