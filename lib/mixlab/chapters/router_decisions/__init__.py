"""Chapter 08: what a trained router decides, token by token."""
