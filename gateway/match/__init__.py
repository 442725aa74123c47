"""Longest-prefix membership and compiled rules. Everything here is immutable once built."""
