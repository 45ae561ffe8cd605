"""A process loads what it uses: what takes long to load, and is used by few, waits until it is."""

import subprocess
import sys
from collections import Counter

import pytest
from fastapi.routing import APIRoute

from fermata.planning import cp_model
from fermata.server.api.routes import ROUTES

SOLVER = "ortools.sat.python.cp_model"
LOADS = {
    "a server": ("import fermata.server.app, fermata.cli.serve", False),
    "a worker": ("import fermata.cli.worker", False),
    "a plan's model": ("from fermata.planning import cp_model; cp_model.CpModel()", True),
}


@pytest.mark.parametrize("what", LOADS)
def test_the_solver_is_loaded_by_who_solves_and_by_nobody_else(what: str) -> None:
    code, loads = LOADS[what]
    told = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print([m for m in ('{SOLVER}', 'pandas') if m in sys.modules])"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert told.stdout.strip() == (f"['{SOLVER}', 'pandas']" if loads else "[]")


def test_what_the_solver_does_not_have_is_missing_as_of_any_module() -> None:
    with pytest.raises(AttributeError):
        _ = cp_model.NoSuchThing  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        _ = cp_model.__no_such_thing__  # type: ignore[attr-defined]


def test_every_route_of_the_api_is_worked_out_once_and_whole() -> None:
    routes = [route for route in ROUTES if isinstance(route, APIRoute)]
    assert len(routes) == len(ROUTES) > 100
    assert all(route.path.startswith("/api/v1/") for route in routes)
    assert max(Counter((route.path, method) for route in routes for method in route.methods or ()).values()) == 1
    assert [route.path for route in routes if route.response_fields] == []
