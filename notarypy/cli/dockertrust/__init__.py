"""`docker trust` without docker: its words, its outputs and its exit codes over `notarypy.Client`."""
