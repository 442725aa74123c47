"""What becomes of a packet: verdicts, flows, ports, TCP tracking, lifetimes, the translator.

Knows no file descriptor, clock, log or randomness of its own: packets, the time and the seed are arguments.
"""

from .translator import Translator

__all__ = ["Translator"]
