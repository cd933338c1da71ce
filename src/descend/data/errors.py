"""Data that cannot be used."""


class BadData(ValueError):
    """Names the file, column or sample, what is wrong with it, and what to do. Exit code 3."""
