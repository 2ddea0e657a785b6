"""What one page says of a repository: who may sign what, what is signed, what happened, and what is wrong."""
