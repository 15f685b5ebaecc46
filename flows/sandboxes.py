"""Where a run's sandbox sessions live: on this machine, or behind the service that its recipe names."""

from __future__ import annotations

from flows.recipe import Runtime
from pipeline.sandbox import Sandbox


def open_sandbox(runtime: Runtime, workers: int) -> Sandbox:
    """Return a pool of sessions; `workers` cells run at once, unless a service decides that for itself.

    Raises:
        UsageError: the guest environment is missing, or the service is none that can be used.
        InfrastructureError: the service cannot be reached.
        IsolationError: this system has no such isolation.
    """
    if runtime.sandbox is None:
        from pipeline.sandbox import Policy, Pool

        return Pool(Policy(), workers)
    from pipeline.sandbox.remote import RemotePool

    return RemotePool(runtime.sandbox.url, runtime.sandbox.token_env)
