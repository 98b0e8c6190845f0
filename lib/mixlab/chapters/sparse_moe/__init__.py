"""Chapter 07: experts, a router, and what goes where."""
