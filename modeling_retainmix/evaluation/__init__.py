"""How good is an encoder or a detector?

`compared_systems` lists the rows of every table, `score_systems` scores them, `results` writes and reads
`results.json`. `paper/`, `challenge/` and `studies/` hold the commands that use these parts.
"""
