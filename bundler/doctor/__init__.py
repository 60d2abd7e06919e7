"""`bundle doctor`: what will bite, and the command that mends it. One check a file."""
