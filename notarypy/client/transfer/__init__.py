"""Whole images, moved between files, registries and daemons; behind `Client.images`.

What it is: push, pull and copy. What it is not: who may be trusted (`verify`), what is written to a Notary
server (`publish`), or single requests (`remote.registry`). Read `pushing` first.
"""
