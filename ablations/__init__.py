"""Is a filter rule worth having? Arms from a finished run, small models, paired verdicts."""
