"""Short branches off common trunks: what a rule removes, read while the learning rate decays."""
