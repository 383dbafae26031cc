"""What happens over hours, each a plain function over `Run`; approvals; every sentence the bot says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.port import Workflow
    from workflows.site import Site


def catalogue(sites: Mapping[str, Site]) -> Mapping[str, Workflow]:
    """Every workflow by its name, bound to the sites; `args["cluster"]` says which one a run works on."""
    from engine.port import Plain, Run
    from workflows.rolling_upgrade import rolling_upgrade

    def on_site(
        workflow: Callable[[Run, Site, Mapping[str, Plain]], Plain], run: Run, args: Mapping[str, Plain]
    ) -> Plain:
        return workflow(run, sites[args["cluster"]], args)

    return {"rolling_upgrade": partial(on_site, rolling_upgrade)}
