"""The exercises of chapter 06, and what they share: packs, layers over them, masks nearly right."""
