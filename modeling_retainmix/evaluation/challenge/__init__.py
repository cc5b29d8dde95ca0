"""What does a participant of DCASE Task 2 submit, is it valid, and what does it score?

`submission` writes and validates the folder of a system, `result_files` scores it.
"""
