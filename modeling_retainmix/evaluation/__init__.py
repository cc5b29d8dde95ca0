"""How good is an encoder or a detector? Official scores and their records, and what uses them."""
