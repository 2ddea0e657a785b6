"""The use cases, and the only layer that joins pure and impure parts."""
