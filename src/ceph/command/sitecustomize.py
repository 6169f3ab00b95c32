"""Loaded by Python at the start of our long-lived `ceph`, and by nothing else (ceph-process.ts sets the path).

`ceph` looks for the description of each command among all five hundred and more, and copies each of them twice to
compare: 40 ms of processor time for a question that Ceph answers in one. Here it is given those alone that begin
with the words of the command. What matches none is left to it as before, with all its help.

One that is started before it is needed (MICROCEPH_CEPH_AHEAD) imports what `ceph` will use, and goes on when it reads a
line.
"""

import os


def _words(description):
    """The fixed words that a command begins with."""
    words = []
    for part in description["sig"]:
        if part.t.__name__ != "CephPrefix":
            break
        words.append(part.instance.prefix)
    return words


def _begins(description, args):
    words = _words(description)
    return bool(words) and list(args[: len(words)]) == words


def _look_among_few(argparse):
    whole = argparse.validate_command

    def validate_command(descriptions, args, *others, **options):
        try:
            few = {name: one for name, one in descriptions.items() if _begins(one, args)}
        except Exception:  # Another release describes commands in another way: slower, and right.
            few = {}
        return whole(few or descriptions, args, *others, **options)

    argparse.validate_command = validate_command


def _wait_until_needed():
    for module in ("rados", "ceph_daemon", "argparse", "grp", "platform", "pwd", "shutil", "typing"):
        try:
            __import__(module)
        except ImportError:  # `ceph` itself will say so, if it needs it.
            pass
    while (byte := os.read(0, 1)) != b"\n":
        if byte == b"":  # Nobody is left to need it.
            os._exit(0)


try:
    import ceph_argparse

    _look_among_few(ceph_argparse)
except (ImportError, AttributeError):  # As it is, then.
    pass

if os.environ.pop("MICROCEPH_CEPH_AHEAD", None) is not None:
    _wait_until_needed()
