"""Chapter 06: many prompts as one sequence."""
