"""Heartbeat: two Linux routers that act as one."""

__version__ = "4.0.0"
