"""The run directory: its tables, paths, inputs and ledger, and the text of its documents."""
