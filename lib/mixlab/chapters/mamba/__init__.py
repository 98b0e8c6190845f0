"""Chapter 19: a state space that selects."""
