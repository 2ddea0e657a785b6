"""The words of the command line.

What it is: values in, text out. What it is not: printing, or a decision. `advice` is the file to
read first: it has the text for everything that an error may advise.
"""
