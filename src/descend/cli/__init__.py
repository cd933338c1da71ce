"""The command ``descend``. Verbs, recipes' signatures and exit codes; nothing here learns."""

from descend.cli.main import main

__all__ = ["main"]
