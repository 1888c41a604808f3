"""The compiled part: bytes and numbers, no policy. Its rules: it imports nothing of ours, knows no clock and no file
(but for the watch, which is lent descriptors), and raises on nothing that came from outside.

Built for the stable ABI, Cython's start-up code imports `inspect` for seven constants, which costs a small daemon
2.3 MB and 13 ms. A stand-in holds them while the three modules load.
"""

import sys


class _Constants:
    CO_OPTIMIZED = 1
    CO_NEWLOCALS = 2
    CO_VARARGS = 4
    CO_VARKEYWORDS = 8
    CO_GENERATOR = 32
    CO_COROUTINE = 128
    CO_ASYNC_GENERATOR = 512


_loaded = "inspect" in sys.modules
if not _loaded:
    sys.modules["inspect"] = _Constants  # type: ignore[assignment]
try:
    from _hbfast import auth, codec, wheel  # noqa: F401
finally:
    if not _loaded:
        del sys.modules["inspect"]
