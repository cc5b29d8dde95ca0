"""Metrics of the DCASE Task 2 challenges, each in the shape in which it is pushed to the Hub."""
