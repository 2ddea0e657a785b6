"""What the service counts."""

from __future__ import annotations

import re

from notarypy.service.metrics import Metrics


def lines(metrics: Metrics) -> list[str]:
    return [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]


def test_labels_have_words_of_the_service_alone() -> None:
    metrics = Metrics("1", ["/verify"])
    for number in range(100):
        metrics.answered(f"/{number}", 404, 0.1)
        metrics.answered("/verify", 200, 0.1)
    found = [line for line in lines(metrics) if line.startswith("notarypy_requests_total")]
    assert found == [
        'notarypy_requests_total{path="other",status="404"} 100.0',
        'notarypy_requests_total{path="/verify",status="200"} 100.0',
    ]


def test_numbers_of_others_are_read_when_they_are_asked_for() -> None:
    numbers = {"kept_things": 1.0, "things_total": 2.0}
    metrics = Metrics("1", [], lambda: numbers)
    assert {"notarypy_kept_things 1.0", "notarypy_things_total 2.0"} <= set(lines(metrics))
    numbers["kept_things"] = 5
    assert "notarypy_kept_things 5.0" in lines(metrics)
    text = metrics.text().decode()
    assert "# TYPE notarypy_things_total counter" in text
    assert "# TYPE notarypy_kept_things gauge" in text


def test_a_certificate_that_is_not_there_has_no_end() -> None:
    metrics = Metrics("1", [])
    assert "certificate_end" not in metrics.text().decode()
    metrics.certificate(None)
    assert "certificate_end" not in metrics.text().decode()
    metrics.certificate(1e9)
    metrics.certificate(2e9)
    assert "notarypy_certificate_end_timestamp_seconds 2e+09" in lines(metrics)
    assert 'notarypy_certificate_loads_total{result="loaded"} 2.0' in lines(metrics)


def test_names_are_plain_and_nothing_is_there_twice() -> None:
    metrics = Metrics("1", ["/verify"])
    metrics.answered("/verify", 200, 0.1)
    names = [line.rpartition(" ")[0] for line in lines(metrics)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"(notarypy|process)_[a-z_]+(\{.*\})?", name) for name in names)
    assert not [name for name in names if "_created" in name]
