"""Where a state lies: the user's folder of each system, and never a network share."""

from collections import namedtuple
from pathlib import Path

import pytest

from modeling_retainmix.watching import places
from modeling_retainmix.watching.places import check_local, default_state_folder
from modeling_retainmix.watching.state import WatchState

Mount = namedtuple("Mount", "mountpoint fstype opts")


@pytest.fixture
def mounts(monkeypatch):
    found = [Mount("/", "ext4", "rw")]
    monkeypatch.setattr(places.psutil, "disk_partitions", lambda all: found)
    return found


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "NFS"])
def test_when_the_state_would_be_on_a_share_then_error_names_its_kind(tmp_path, mounts, kind):
    mounts.append(Mount(str(tmp_path / "share"), kind, "rw"))
    with pytest.raises(ValueError, match=rf"{kind} at .*share\).*--state"):
        WatchState(tmp_path / "share" / "deep" / "state")
    assert not (tmp_path / "share").exists()
    check_local(tmp_path / "shared")


def test_when_a_local_disk_is_mounted_in_a_share_then_it_is_taken(tmp_path, mounts):
    mounts += [Mount(str(tmp_path), "nfs", "rw"), Mount(str(tmp_path / "disk"), "xfs", "rw")]
    check_local(tmp_path / "disk" / "state")
    with pytest.raises(ValueError, match="nfs"):
        check_local(tmp_path / "other")


def test_when_a_link_leads_to_a_share_then_error(tmp_path, mounts):
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    mounts.append(Mount(str(tmp_path / "share"), "smb3", "rw"))
    with pytest.raises(ValueError, match="smb3"):
        check_local(tmp_path / "link" / "state")


def test_when_a_windows_drive_is_remote_then_error(tmp_path, mounts):
    mounts.append(Mount(str(tmp_path), "", "rw,remote"))
    with pytest.raises(ValueError, match="a network share at"):
        check_local(tmp_path)


def test_the_default_is_one_folder_for_each_watched_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setattr(places.sys, "platform", "linux")
    one, other = default_state_folder(tmp_path / "a"), default_state_folder(tmp_path / "b")
    assert one != other and one.parent == tmp_path / "s" / "retainmix"
    assert default_state_folder(tmp_path / "b" / ".." / "a") == one
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # which the specification says to ignore
    assert default_state_folder(tmp_path).is_relative_to(Path.home() / ".local" / "state")
    monkeypatch.setattr(places.sys, "platform", "darwin")
    assert default_state_folder(tmp_path).is_relative_to(Path.home() / "Library" / "Application Support")
    monkeypatch.setattr(places.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert places._state_home() == tmp_path / "local"
