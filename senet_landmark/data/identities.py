"""The identities of the recorded faces: stored beside the records, and checked across splits.

With `identities.json`, the identities can be read without parsing every record. Its entry for a
shard is used if it matches the records in that file; otherwise, and for records that were built
without it, the records are parsed.
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
from senet_landmark.data.tfrecords import framing_of, raw_records
from senet_landmark.errors import InputError
from senet_landmark.io.files import read_json, write_json

IDENTITIES_NAME = "identities.json"


@dataclass(frozen=True)
class ShardIdentities:
    """The identities in one shard.

    Attributes:
      digest: SHA-256, hexadecimal, of the identities and of the length and stored checksum of each
        record.
      identities: those of its records, in their order.
    """

    digest: str = ""
    identities: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredIdentities:
    """The content of `identities.json`: file name of a shard -> its identities."""

    shards: dict[str, ShardIdentities] = field(default_factory=dict)


def save_identities(folder: Path | str, shards: Mapping[str, Sequence[str]]) -> None:
    """Writes `identities.json` beside finished shards.

    Args:
      folder: the folder of the records.
      shards: file name of a shard -> the identities of its records, in their order.

    Raises:
      InputError: a shard is absent or damaged.
    """
    folder = Path(folder)
    stored = {
        name: ShardIdentities(_digest(folder / name, identities), tuple(identities))
        for name, identities in shards.items()
    }
    write_json(folder / IDENTITIES_NAME, to_json(StoredIdentities(stored)))


def identities(folder: Path | str, info: RecordsInfo) -> dict[str, list[str]]:
    """Name of each split that has records -> the identities of its faces, in their order.

    Where records have to be parsed, damaged ones are skipped: `RecordStore`, which reads the faces,
    counts them.

    Raises:
      InputError: a file is absent or has another schema.
    """
    shards = _stored_identities(Path(folder))
    by_split: dict[str, list[str]] = {}
    for split, names in info.splits.items():
        for path in shard_paths(folder, info, split) if names else []:
            stored = shards.get(path.name)
            if stored and not _matches(path, stored):
                _warn(path.with_name(IDENTITIES_NAME), f"does not fit {path.name}")
                stored = None
            members = stored.identities if stored else _parsed_identities(path)
            if members:
                by_split.setdefault(split, []).extend(members)
    return by_split


def shared_identities(sides: dict[str, list[str]]) -> dict[str, list[str]]:
    """Identities that are on more than one side -> those sides; empty where none is shared.

    Args:
      sides: name of a side (a split, or a set of records) -> the identities of its faces.
    """
    sides_of: dict[str, set[str]] = {}
    for name, members in sides.items():
        for identity in members:
            sides_of.setdefault(identity, set()).add(name)
    return {key: sorted(names) for key, names in sorted(sides_of.items()) if len(names) > 1}


def check_splits_apart(folder: Path | str, info: RecordsInfo) -> None:
    """Refuses records whose splits share an identity.

    Records that were not split by source (`RecordsConfig.split_by`) share identities on purpose and
    are accepted.

    Raises:
      InputError: splits share identities; it names some of them.
    """
    if info.records.split_by != "source":
        return
    if shared := shared_identities(identities(folder, info)):
        some = ", ".join(f"{k} ({' and '.join(v)})" for k, v in list(shared.items())[:3])
        raise InputError(
            f"{folder}: {len(shared)} identities are in more than one split: {some}. Errors "
            "measured on such records are too low. Build the records again with "
            "`senet-landmark build-records`."
        )


def _stored_identities(folder: Path) -> dict[str, ShardIdentities]:
    """The shards in `identities.json`; empty where the file is absent or damaged."""
    path = folder / IDENTITIES_NAME
    if not path.exists():
        return {}
    try:
        return from_json(StoredIdentities, read_json(path), str(path)).shards
    except InputError as error:
        _warn(path, f"cannot be used ({error})")
        return {}


def _matches(path: Path, stored: ShardIdentities) -> bool:
    with contextlib.suppress(InputError):  # a damaged file matches nothing
        return _digest(path, stored.identities) == stored.digest
    return False


def _digest(path: Path, identities: Sequence[str]) -> str:
    """See `ShardIdentities.digest`; the data of the records are not read."""
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
    for raw in raw_records(path):
        with contextlib.suppress(RecordError):
            if not raw.fault:
                record = parse_example(raw.data, f"{path}, record {raw.number}")
                members.append(record.identity)
    return members


def _warn(path: Path, problem: str) -> None:
    print(f"{path}: {problem}; the records themselves are read instead.", file=sys.stderr)
