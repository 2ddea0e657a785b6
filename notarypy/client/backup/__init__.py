"""Backups: what belongs into one, putting it back, and trying whether that would work.

What it is: the use cases behind `backup` and `restore`. What it is not: the file (`storage.backupfile`).
"""
