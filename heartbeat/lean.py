"""Parts of the standard library as they are compiled into the interpreter: `deque`, `signal`, `socket`, and of `types`
those of functions and methods.

The modules of these names wrap them in Python for 1 MB, `enum` and `selectors` among it, which the daemon would keep
for years. Constants are plain numbers here, and a socket is no context manager.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket as socket
    import signal
    from collections import deque
    from types import BuiltinMethodType, FunctionType, MethodDescriptorType, MethodType
else:
    import _signal as signal
    import _socket as socket
    from _collections import deque

    class _Sample:
        def method(self):
            pass

    FunctionType, MethodType = type(_Sample.method), type(_Sample().method)
    BuiltinMethodType, MethodDescriptorType = type("".join), type(str.join)

__all__ = [
    "BuiltinMethodType", "FunctionType", "MethodDescriptorType", "MethodType", "deque", "signal", "socket",
]  # fmt: skip
