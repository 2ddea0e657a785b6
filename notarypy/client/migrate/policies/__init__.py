"""The policies of other programs, each written from the same rules: values in, text out.

What it is: one module for each program, and what they share. What it is not: which rules there are
(`client.migrate.equivalent`), or files.
"""
