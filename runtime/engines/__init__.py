"""Engines behind one protocol. `runtime.engines.registry` opens them by name."""

from runtime.engines.protocol import DeployedEngine, Engine, EngineOutput

__all__ = ["DeployedEngine", "Engine", "EngineOutput"]
