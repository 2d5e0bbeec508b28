"""Every operation that the compiler knows, declared once each; importing this package fills the registry."""

from symprop.functions import elementwise, structure

__all__ = ["elementwise", "structure"]
