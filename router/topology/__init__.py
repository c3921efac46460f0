"""The topology language: load (YAML with places) ▸ model ▸ check (every problem at once) ▸ schema."""
