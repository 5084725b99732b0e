"""Who a program runs as: PostgreSQL refuses to run as root, so a harness run by root needs someone else."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class User:
    """An account of this machine that is not root."""

    name: str
    uid: int
    gid: int


def unprivileged_user() -> User | None:
    """The user to start PostgreSQL as when we are root; None when we are not, and may simply be ourselves."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError(f"PostgreSQL does not run as root, and there is no user named {' or '.join(CANDIDATES)}")


def may_enter(path: Path, user: User) -> bool:
    """May *user* walk down to *path*? What does not exist yet is judged by the nearest folder that does."""
    path = path.resolve()
    return all(_executable(folder, user) for folder in (path, *path.parents) if folder.exists())


def _executable(path: Path, user: User) -> bool:
    facts = path.stat()
    if facts.st_uid == user.uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == user.gid:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)
