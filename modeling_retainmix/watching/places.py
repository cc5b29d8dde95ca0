"""Where the state of a watch lies: on a disk of this machine, by default in the user's folder for state."""

import hashlib
import os
import sys
from pathlib import Path

import psutil

_SHARES = """
9p afpfs afs beegfs ceph cifs davfs fuse.ceph fuse.davfs2 fuse.glusterfs fuse.rclone fuse.s3fs fuse.sshfs glusterfs
gpfs lustre ncpfs nfs nfs4 panfs smb2 smb3 smbfs sshfs webdav
"""
_REMOTE = frozenset(_SHARES.split())


def default_state_folder(watched: str | os.PathLike[str]) -> Path:
    """Return the folder for the state of a watched folder, one for each.

    It is in `$XDG_STATE_HOME` (`~/.local/state`), on Windows in `%LOCALAPPDATA%`, on a Mac in
    `~/Library/Application Support`.
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(watched))).hexdigest()
    return _state_home() / "retainmix" / f"watch-{digest[:12]}"


def check_local(folder: str | os.PathLike[str]) -> None:
    """Check that a folder, or where it is to be made, is on no network share.

    There neither locks nor the order of writes are sure, and a database breaks.

    Raises:
        ValueError: it is, as far as the operating system tells.
    """
    place = os.path.realpath(folder)
    kind = "a network share" if sys.platform == "win32" and place.startswith("\\\\") else None
    mounts = [mount for mount in psutil.disk_partitions(all=True) if _is_below(place, mount.mountpoint)]
    if kind is None and mounts:
        # of mounts on one place the last one counts
        nearest = max(enumerate(mounts), key=lambda one: (len(one[1].mountpoint), one[0]))[1]
        if nearest.fstype.lower() in _REMOTE or "remote" in nearest.opts.split(","):
            kind = f"{nearest.fstype or 'a network share'} at {nearest.mountpoint}"
    if kind is not None:
        raise ValueError(
            f"{folder} is on a network file system ({kind}), where a database may break: give a folder on a disk of "
            "this machine as --state"
        )


def _state_home() -> Path:
    # No library is needed for three cases: platformdirs is no dependency of this package.
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    given = os.environ.get("XDG_STATE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"


def _is_below(place: str, mountpoint: str) -> bool:
    try:
        return os.path.commonpath([place, mountpoint]) == mountpoint.rstrip(os.sep) or mountpoint == os.sep
    except ValueError:  # another drive
        return False
