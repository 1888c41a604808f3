"""How often a router takes over while nothing has failed: because it, or its peer, was not given the processor in time.

    python -m bench.false                 ten minutes under 16 hogs and two idle; exit code 1 where a bar is missed
    python -m bench.false --minutes 2     so long under the hogs, a fifth of it idle
    python -m bench.false --quick         half a minute, and six seconds

All pairs run at the same time on the same machine, each in a world of its own: what befalls one befalls all. A
take-over is that a kernel gets the address, as it says itself; the daemons are not asked.

A canary on each processor, more urgent than anything else, tells when the machine itself stood still: that is no fault
of any program. What happens within 100 ms of such a delay of more than 5 ms is set aside, counted and listed; where
that is more than a fifth of all, the run says nothing, and is void.

    count    the rule, and the bars: pure
    report   record, table and page
"""
