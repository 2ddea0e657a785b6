"""`notarypy admission`: a cluster that runs verified images alone."""

from __future__ import annotations

from notarypy.cli.clustermanifests import manifests
from notarypy.cli.declared import Commands

app = Commands("Images of a Kubernetes cluster, verified before they run.")

app.command("manifests")(manifests)
