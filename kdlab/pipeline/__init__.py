"""Carrying a plan out: teacher, student, evaluation, record."""
