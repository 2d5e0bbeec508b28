"""Rewriting: an ordered list of passes over the joint forward and backward graph, nodes in, nodes out."""

from symprop.rewrite.pipeline import PASSES, optimise
from symprop.rewrite.report import OperationCounts, PassReport, Report, count_operations

__all__ = ["PASSES", "OperationCounts", "PassReport", "Report", "count_operations", "optimise"]
