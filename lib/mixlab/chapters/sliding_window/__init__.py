"""Chapter 02: which keys a query sees under a sliding window, and what that costs."""
