"""For tests of anything that is to go through the gateway: Simulator, hypothesis strategies, a pytest plugin."""

from .simulator import Simulator

__all__ = ["Simulator"]
