"""The recipes that are shipped: one YAML file each, and studies in `ablations/`."""
