"""Recipes by name, recipes that extend others, and rules of a user's own."""
