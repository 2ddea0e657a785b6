"""The docker daemon of this machine, or podman in its place, as far as it pushes an image.

It is no docker client. Read `daemon` first; `pushstream` reads what is said during a push.
"""
