"""The solver's library, loaded when something of it is first used: it brings others with it, takes a second, and most
processes plan nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import (
        FEASIBLE,
        INFEASIBLE,
        OPTIMAL,
        CpModel,
        CpSolver,
        Domain,
        IntervalVar,
        IntVar,
        LinearExpr,
        LinearExprT,
    )

    __all__ = [
        "FEASIBLE",
        "INFEASIBLE",
        "OPTIMAL",
        "CpModel",
        "CpSolver",
        "Domain",
        "IntVar",
        "IntervalVar",
        "LinearExpr",
        "LinearExprT",
    ]
else:

    def __getattr__(name: str) -> Any:
        """What the library calls so; kept, so that it is looked for once (PEP 562)."""
        if name.startswith("__"):  # the import system's own questions
            raise AttributeError(name)
        found = globals()[name] = getattr(import_module("ortools.sat.python.cp_model"), name)
        return found
