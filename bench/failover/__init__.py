"""How long a client waits when the holder of its gateway's address fails, yields or stops: whole daemons, side by side.

    python -m bench.failover            the whole grid: at most an hour. Exit code 1 where a bar is missed
    python -m bench.failover --quick    a part of it with fewer trials: at most five minutes
    … --system ours --setting 100/500 --trials 3    these alone, and nothing is written but with --json

    grid     who is tried, with which times, media, loads, how often; and in which order
    trial    one failure, or one planned move, on the stage (bench.rivals)
    figures  what was seen becomes figures: pure, no clock
    bars     what is demanded of them
    report   record, table and page;  picture: the distribution of the outage

One trial after the other, systems in turn, in blocks of a few trials each: what the machine does to one system in a
minute it does to its rivals in the next. A trial that the machine itself has spoilt (a canary, more urgent than
anything else, was late by more than 5 ms within 100 ms of it) is kept and marked; bars on the detection look at the
others alone.
"""
