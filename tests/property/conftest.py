"""How property tests run: no deadline for one example, for a busy machine is no error."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "notarypy", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("notarypy")
