"""How does a finished folder get its card and its code, and reach the Hub?

Works on folders and on the content of `results.json`; it does not know the trainer, the detector or the evaluation.
"""
