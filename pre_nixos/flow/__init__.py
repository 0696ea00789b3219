"""Verbs: probe, propose, schedule, apply, verify. Read these five files first."""
