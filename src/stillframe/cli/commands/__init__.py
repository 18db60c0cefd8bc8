"""One module per noun. A command reads its arguments, makes a few calls, prints the result; it decides little else."""
