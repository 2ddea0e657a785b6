from __future__ import annotations

from datetime import UTC, datetime

import pytest

from notarypy import testing

fake_kms = testing.fake_kms


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
