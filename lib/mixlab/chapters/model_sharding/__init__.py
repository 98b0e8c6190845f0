"""Chapter 09: one model on several devices, and what they have to tell each other."""
