"""Formulas written out by themselves, in float64 and without the library: what the blocks are compared with."""
