"""trafilatura's extraction step by step, with its results and several times its speed."""
