"""Pictures of declared graphs: every forward value and every gradient at its wire, as SVG."""

from symprop.show.drawing import Drawing, draw
from symprop.show.labels import Numbers
from symprop.show.scene import Scene, arrange

__all__ = ["Drawing", "Numbers", "Scene", "arrange", "draw"]
