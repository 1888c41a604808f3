"""The experiments behind docs/decisions: each rule of the core against other candidates, on the simulator.

    python -m bench.decisions NAME [--lives N]       from the repository's folder; the tables are in that page

A candidate that is not the rule in force is a subclass or a constant put in the place of the core's for one table. The
product has no option for any of them. Seeds are fixed: the same command prints the same figures.
"""
