"""The rows of the table, with how much longer they may take than with others."""

from __future__ import annotations

from benchmarks import reading, signing
from benchmarks.contestants import cold, warm
from benchmarks.measuring import Workload


def _at(zero: float, twenty: float, fifty: float, hundred: float) -> dict[int, float]:
    return {0: zero, 20: twenty, 50: fifty, 100: hundred}


ROWS = (
    Workload("startup", "`--version`", reading.startup, offline=True),
    Workload("key-list", "`key list`", signing.key_list, {0: 7}, offline=True),
    Workload(
        "verify-warm",
        "warm `verify --no-registry`",
        reading.lookup(warm),
        _at(6, 1.2, 0.85, 0.70),
        peak=34,
    ),
    Workload("verify-cold", "cold `verify --no-registry`", reading.lookup(cold), _at(4.5, 0.65, 0.45, 0.36)),
    Workload("registry-warm", "warm `verify` of a signer's tag, with registry", reading.verify(warm)),
    Workload(
        "registry-cold",
        "cold `verify` of a signer's tag, with registry",
        reading.verify(cold),
        _at(3, 0.50, 0.35, 0.28),
    ),
    Workload("init", "`init`", signing.init),
    Workload("init-signer", "`signer add` to a new repository", signing.init_with_signer),
    Workload(
        "sign",
        "`sign` again",
        signing.sign(signing.again, "notary addhash -p", signing.each_published),
        _at(6, 0.90, 0.58, 0.50),
    ),
    Workload(
        "sign-roles",
        "`sign` into releases and a signer",
        signing.sign(signing.by_signer, "docker trust sign", signing.docker_signed),
        _at(2, 0.38, 0.23, 0.19),
    ),
    Workload(
        "sign-100",
        "`sign` of 100 tags",
        signing.sign(signing.many(100), "notary addhash, one publish", signing.once_published, anew=True),
        _at(0.45, 0.45, 0.70, 0.70),
    ),
    Workload(
        "sign-1000",
        "`sign` of 1 000 tags",
        signing.sign(signing.many(1000), "notary addhash, one publish", signing.once_published, anew=True),
        _at(0.2, 0.4, 0.6, 0.9),
        costly=True,
    ),
    Workload(
        "sign-20-repositories",
        "`sign` in 20 repositories",
        signing.sign(signing.twenty, "notary addhash -p, for each", signing.each_published),
        _at(2, 0.20, 0.10, 0.07),
    ),
    Workload(
        "verify-50-repositories",
        "cold `verify` of 50 repositories",
        reading.repositories,
        {50: 0.07},
    ),
    Workload("verify-200-tags", "warm `verify` of 200 tags", reading.tags, {50: 0.15}),
    Workload("lookup-10000", "warm `verify --no-registry` in 10 000 tags", reading.lookup(warm, 10_000)),
    Workload("lookup-50000", "warm `verify --no-registry` in 50 000 tags", reading.lookup(warm, 50_000)),
    Workload(
        "inspect-50000",
        "warm `inspect` of 50 000 tags",
        reading.inspect(50_000),
        _at(0.9, 0.8, 0.8, 0.8),
        peak=110,
    ),
)
