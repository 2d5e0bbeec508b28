"""Running programs: the engine, executables, arrays in and out."""

from symprop.run.executable import Executable, Port, build

__all__ = ["Executable", "Port", "build"]
