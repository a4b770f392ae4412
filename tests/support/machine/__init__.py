"""A machine that drives the parts of a migration step by step: each process goes on, pauses or dies where it is told.

What the processes do is the product's own code on real stores. The machine holds the clock, the way of every request
to DynamoDB, and the named points at which a process waits.
"""
