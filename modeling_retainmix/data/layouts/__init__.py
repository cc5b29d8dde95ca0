"""How do recordings lie on disk or on the Hub, and what do their names and tables tell? One reader per layout."""
