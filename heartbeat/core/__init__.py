"""The cluster's logic, pure: told what happened and what time it is, it answers what to do.

Nothing in here knows files, sockets, clocks, randomness or logging. Instants are integers, nanoseconds of this
node's CLOCK_BOOTTIME, and always an argument. Of the standard library only `collections` is imported at run time
(records are __slots__ classes, states are named integers): the daemon's footprint is its imports.
"""
