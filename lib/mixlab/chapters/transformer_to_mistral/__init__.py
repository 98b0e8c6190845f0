"""Chapter 01: the transformer's block of 2017, changed seven times until it is Mixtral's."""
