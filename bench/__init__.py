"""What is measured, and against whom: `bin/bench`."""
