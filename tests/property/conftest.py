"""How property tests run: no deadline for one example, for a busy machine is no error.

A run that leaves out the slow tests tries a third of the examples. Whoever wants more takes a multiple.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Choose the profile, before the tests of this folder are imported."""
    quick = "not slow" in config.getoption("markexpr")
    settings.register_profile(
        "notarypy",
        deadline=None,
        max_examples=20 if quick else 60,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("notarypy")
