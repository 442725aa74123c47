"""What the operator wrote: kinds, strict loading, selectors; and build.py, which turns them into match/ tables."""
