"""bcrypt for ceph-mgr, where the one of the system cannot be loaded.

Each module of a manager runs in a Python interpreter of its own. Where bcrypt is written in Rust (Debian 13), only the
first of them may load it: all others would fail with "PyO3 modules do not yet support subinterpreters", and with them
the manager's modules, since mgr_util imports it. This file comes before it in the path: it hands over to the real one
where that can be loaded, and does the same by libcrypt where it cannot.
"""

import base64
import ctypes
import hmac
import importlib.machinery
import importlib.util
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _real():
    """The system's bcrypt, loaded under this name; None where there is none or it refuses to be loaded."""
    path = [entry for entry in sys.path if os.path.abspath(entry) != _here]
    spec = importlib.machinery.PathFinder.find_spec("bcrypt", path)
    if spec is None or spec.loader is None:
        return None
    own = sys.modules.get("bcrypt")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bcrypt"] = module
    try:
        spec.loader.exec_module(module)
        return module
    except ImportError:
        for name in [name for name in sys.modules if name == "bcrypt" or name.startswith("bcrypt.")]:
            del sys.modules[name]
        if own is not None:
            sys.modules["bcrypt"] = own
        return None


_standard = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ours = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# struct crypt_data of libxcrypt (crypt.h): 32768 bytes.
_crypt_data_bytes = 32768


def gensalt(rounds=12, prefix=b"2b"):
    """A new salt; 4 to 31 rounds, as a power of two."""
    if prefix not in (b"2a", b"2b"):
        raise ValueError("Supported prefixes are b'2a' or b'2b'")
    if not 4 <= rounds <= 31:
        raise ValueError("Invalid rounds")
    salt = base64.b64encode(os.urandom(16)).translate(bytes.maketrans(_standard, _ours))[:22]
    return b"$" + prefix + b"$" + b"%02d" % rounds + b"$" + salt


def hashpw(password, salt):
    """The hash of a password under a salt, or under an earlier hash."""
    if isinstance(password, str) or isinstance(salt, str):
        raise TypeError("Strings must be encoded before hashing")
    if b"\x00" in password:
        raise ValueError("password may not contain NUL bytes")
    crypt_r = ctypes.CDLL("libcrypt.so.1").crypt_r
    crypt_r.restype = ctypes.c_char_p
    crypt_r.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
    # More than 72 bytes are never looked at.
    hashed = crypt_r(password[:72], salt, ctypes.create_string_buffer(_crypt_data_bytes))
    if hashed is None or not hashed.startswith(b"$2"):
        raise ValueError("Invalid salt")
    return hashed


def checkpw(password, hashed_password):
    """Whether this is the hash of the password."""
    return hmac.compare_digest(hashpw(password, hashed_password), hashed_password)


_real()
