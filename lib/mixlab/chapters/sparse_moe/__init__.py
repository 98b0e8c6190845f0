"""Chapter 07: a sparse mixture of experts."""
