"""Platforms: other names of the same."""

from __future__ import annotations

import pytest

from notarypy.images import platforms


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux/x86-64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("amd64", "linux/amd64"),
        ("AMD64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("arm", "linux/arm/v7"),
        ("s390x", "linux/s390x"),
        ("windows", "windows"),
        ("linux", "linux"),
        ("linux/amd64,linux/arm64", "linux/amd64,linux/arm64"),
        ("", ""),
    ],
)
def test_one_spelling_for_each(text: str, usual: str) -> None:
    assert platforms.normal(text) == usual
