"""From numbers to words: HELPS, HURTS, NEUTRAL or INCONCLUSIVE."""
