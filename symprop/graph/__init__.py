"""The node table: every symbolic stage works on hash-consed nodes of declared operations."""

from symprop.graph.collector import CollectorPaused
from symprop.graph.nodes import Dim, Node, NodeTable, Shape, topological, users
from symprop.graph.operations import OPERATIONS, Operation, operation, register

__all__ = [
    "OPERATIONS",
    "CollectorPaused",
    "Dim",
    "Node",
    "NodeTable",
    "Operation",
    "Shape",
    "operation",
    "register",
    "topological",
    "users",
]
