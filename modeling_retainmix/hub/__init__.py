"""How does a finished folder get its card and its code, and reach the Hub? Works on folders and `results.json`."""
