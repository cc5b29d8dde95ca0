"""What does a participant of DCASE Task 2 hand in, is it valid, and what does it score?"""
