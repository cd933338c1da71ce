"""Stateless tensor maths."""

from descend.functional import keyed
from descend.functional.bicubic import bicubic
from descend.functional.mean import Mean, Term

__all__ = ["Mean", "Term", "bicubic", "keyed"]
