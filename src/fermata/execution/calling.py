"""What a worker calls the world with, made anew for each batch: what follows is as old as the moment of its making."""

from functools import partial

from fermata.execution.perform import Caller
from fermata.execution.stage import Stage


def make_caller(stage: Stage) -> Caller:
    """For what is decided from now on."""
    owned = stage.ownership
    return Caller(
        site=stage.site,
        catalogue=stage.catalogue,
        generation=owned.generation,
        confirm=partial(owned.ensure, stage.database),
        age=partial(owned.age, owned.moment()),
        brake=stage.brake,
        scale_in=stage.scale_in,
    )
