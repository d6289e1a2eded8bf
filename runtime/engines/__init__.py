"""Engines behind one protocol. `runtime.engines.registry` opens them by name."""

from runtime.engines.protocol import Engine, EngineOutput

__all__ = ["Engine", "EngineOutput"]
