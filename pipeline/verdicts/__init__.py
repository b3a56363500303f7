"""A judged batch becomes rows, stored measures become rows, and rows tell how rules overlap."""
