"""The simulator: another driver of the same core, with a made-up world.

A world has a virtual clock, two nodes with clocks of their own, media between them, agents, faults and audits. One
seed decides everything; nothing here reads a clock, a file or the network (the command line apart). Instants without
another word are the world's, in nanoseconds; a node's own are called local.

    options  what a life is drawn with          faults  what befalls it, as plain data
    world    clock and event queue              machine what of a node survives its daemon
    node     a driver with a life of its own    agents  what runs because of it
    medium   lanes: one direction of a medium   audit   what must hold after every event
    life     one life from boot to convergence  shrink  the shortest list of faults that still fails
    years    the operator's own files, calmly   script  scripted scenarios, and their transcripts
    driver   what drives one Cluster            lease   the leases of one machine
    edits    what an operator changes           command `heartbeat simulate`, and report what it prints
"""
