"""What happens over hours, each a plain function over `Run`; approvals; every sentence the bot says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.port import Again, Plain, Run, Workflow
    from workflows.site import Site

    OnSite = Callable[[Run, Site, Mapping[str, Plain]], Plain | Again]


def catalogue(sites: Mapping[str, Site]) -> Mapping[str, Workflow]:
    """Every workflow by its name, bound to the sites; `args["cluster"]` says which one a run works on."""
    from workflows.alerts import OUTAGE
    from workflows.backup import backup_now
    from workflows.drill import drill_restore
    from workflows.outage import left_behind, outage
    from workflows.outage_known import KNOWN, known
    from workflows.pager_test import PAGER_TEST, pager_test
    from workflows.paths import PATH_DRILL, path_drill
    from workflows.phases import BACKUP, DRILL, RESTORE, RUNBOOK, UPGRADE
    from workflows.restore import restore
    from workflows.rolling_upgrade import rolling_upgrade
    from workflows.runbook import runbook

    def on_site(workflow: OnSite, run: Run, args: Mapping[str, Plain], *, left: OnSite | None = None) -> Plain | Again:
        """`left`: instead, at the first site, when the cluster is no longer in the settings."""
        if left is not None and args["cluster"] not in sites:
            return left(run, next(iter(sites.values())), args)
        return workflow(run, _site(sites, args["cluster"]), args)

    return {
        UPGRADE: partial(on_site, rolling_upgrade),
        OUTAGE: partial(on_site, outage, left=left_behind),
        KNOWN: partial(on_site, known, left=lambda run, site, args: {}),
        PAGER_TEST: partial(on_site, pager_test, left=pager_test),
        RESTORE: partial(on_site, restore),
        RUNBOOK: partial(on_site, runbook),
        BACKUP: partial(on_site, backup_now),
        DRILL: partial(on_site, drill_restore),
        PATH_DRILL: partial(on_site, path_drill),
    }


def _site(sites: Mapping[str, Site], cluster: str) -> Site:
    """A cluster may be renamed or removed while its run goes on: that run stands still, the others do not."""
    if cluster not in sites:
        raise LookupError(
            f"cluster {cluster} is no longer in the settings; put it back under that name and start the bot again, "
            "then the run goes on (or ends, with /upgrade abort)"
        )
    return sites[cluster]
