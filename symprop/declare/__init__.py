"""From sympy expressions to nodes and back: intake, export, graphs of named equations, printers."""

from symprop.declare.export import Export
from symprop.declare.forms import scalar
from symprop.declare.intake import Intake
from symprop.declare.network import Graph, as_graph

__all__ = ["Export", "Graph", "Intake", "as_graph", "scalar"]
