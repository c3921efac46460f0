"""From one topology to another while it runs: the difference, and how it is carried out."""
